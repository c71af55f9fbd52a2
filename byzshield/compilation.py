"""Functions that numba compiles to machine code. Importing this module imports numba; import it where something is compiled."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

__all__ = ["compiled"]

F = TypeVar("F", bound=Callable[..., Any])


def compiled(function: F, **options: Any) -> F:
    """Compiles at the first call and keeps the machine code on disk; the code runs without the interpreter lock.

    A result must be a number: numba runs Python code to make an array of one, and a signal that waits for the end of the
    machine code acts there as SystemError in place of its own exception.

    numba keeps it beside the function's own file, or where NUMBA_CACHE_DIR says. Where it finds no folder that it may write
    to, every process compiles for itself.

    Args:
        function: what to compile.
        options: further keywords of `numba.njit`, such as fastmath.
    """
    try:
        return cast(F, numba.njit(nogil=True, cache=True, **options)(function))
    except RuntimeError:
        return cast(F, numba.njit(nogil=True, **options)(function))
