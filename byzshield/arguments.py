"""Arguments of public functions and constructors against their annotations, so that one of a wrong kind is named in one line."""

import inspect
import types
from collections.abc import Callable
from functools import cache, wraps
from numbers import Integral, Real
from typing import Any, Final, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from byzshield.errors import ParameterError

__all__ = ["WORDS", "checked"]

F = TypeVar("F", bound=Callable[..., Any])
WORDS: Final[dict[Any, str]] = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
MOST_SHOWN: Final = 60  # characters of a wrong value


def checked(function: F) -> F:
    """Decorates a function or `__init__`: arguments that are annotated as numbers, booleans, text or objects are checked.

    Whole numbers of numpy are taken for Python's, and whole numbers for numbers; True is no number. Which numbers and words are
    allowed is left to the function, and so are arrays, lists and functions.

    Raises:
        ParameterError: by what comes out, an argument is of another kind.

    >>> @checked
    ... def half(number: int) -> int: return number // 2
    >>> half("6")
    Traceback (most recent call last):
    byzshield.errors.ParameterError: number must be a whole number; got '6'
    """
    signature = inspect.signature(function)

    @cache
    def hints() -> dict[str, Any]:
        return get_type_hints(function)  # not before all modules are there

    @wraps(function)
    def call(*arguments: Any, **keywords: Any) -> Any:
        try:
            bound = signature.bind(*arguments, **keywords)
        except TypeError:
            return function(*arguments, **keywords)  # which says it of itself
        for name, value in bound.arguments.items():
            variadic = signature.parameters[name].kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
            if name in hints() and not variadic:
                bound.arguments[name] = _as_annotated(name, value, hints()[name])
        return function(*bound.args, **bound.kwargs)

    return cast(F, call)


def _as_annotated(name: str, value: Any, hint: Any) -> Any:
    """The value, or the Python number that it stands for.

    Raises:
        ParameterError: it is none of the kinds of `hint`.
    """
    kinds = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    if get_origin(hint) is Literal or not all(map(_is_told, kinds)):
        return value
    for kind in kinds:
        accepted, result = _as_kind(value, kind)
        if accepted:
            return result
    wanted = " or ".join(_words(kind) for kind in kinds if kind is not type(None))
    raise ParameterError(f"{name} must be {wanted}; got {' '.join(repr(value).split()):.{MOST_SHOWN}}")


def _is_told(kind: Any) -> bool:
    """Whether a value of it can be told by looking at it alone."""
    if kind is Any or getattr(kind, "_is_protocol", False):
        return False
    return get_origin(kind) is Literal or (isinstance(kind, type) and get_origin(kind) is None)


def _as_kind(value: Any, kind: Any) -> tuple[bool, Any]:
    if get_origin(kind) is Literal:  # the function says which words there are
        return isinstance(value, str), value
    if kind is bool:
        found = isinstance(value, bool) or type(value).__name__ == "bool_" or type(value).__name__ == "bool"
        return found, bool(value) if found else value
    if isinstance(value, bool):
        return kind is object, value
    if kind is int:
        return isinstance(value, Integral), int(value) if isinstance(value, Integral) else value
    if kind is float:
        accepted = isinstance(value, Real)
        return accepted, float(value) if accepted and not isinstance(value, Integral) else value
    return isinstance(value, kind), value


def _words(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return " or ".join(map(repr, get_args(kind)))
    return WORDS.get(kind) or f"{'an' if kind.__name__[0] in 'AEIOU' else 'a'} {kind.__name__}"
