"""Packages that only some commands need; an extra of this package brings each of them."""

import importlib.util
from typing import Final

from byzshield.errors import RequestError

__all__ = ["require"]

EXTRAS: Final = {"matplotlib": "plots", "mpi4py": "mpi"}  # as in setup.py


def require(package: str) -> None:
    """Refuses to begin what would end at the import of a package that is not there.

    Raises:
        RequestError: the package is not installed; the message says which extra brings it.
    """
    if importlib.util.find_spec(package) is None:
        raise RequestError(f'{package} is needed and not installed; pip install "byzshield[{EXTRAS[package]}]"')
