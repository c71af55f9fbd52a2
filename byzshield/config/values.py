"""A value of a run file against a type of Python: whether TOML can express it, whether it fits, and what the type is in words."""

import collections.abc
import math
import types
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final, Literal, Union, get_args, get_origin, get_type_hints

from byzshield.arguments import WORDS
from byzshield.errors import ConfigError

__all__ = ["alternatives", "check", "describe", "expressible", "hints_of", "require_expressible"]

LARGEST_INTEGER: Final = 2**63 - 1  # of TOML
_TOML_TYPES: Final = (float, int, str, list, tuple, dict)
_LISTS: Final = (list, tuple, Sequence, Iterable, Collection)
_TABLES: Final = (dict, Mapping)


def check(dotted: str, value: Any, hint: Any, *, least: float | None = None, most: float | None = None) -> Any:
    """Returns `value` as the type of `hint`: whole numbers become floats and lists become tuples where it says so.

    Args:
        dotted: the key, for the message.
        value: as TOML or Python gives it.
        hint: the type.
        least: the smallest number that is allowed, also as an entry of a list; None for any.
        most: the largest; None for any.

    Raises:
        ConfigError: it is of another type, is not finite, or is out of range.
    """
    if value is None and type(None) in alternatives(hint):
        return None
    if isinstance(value, _TOML_TYPES):
        require_expressible(dotted, value)
    for alternative in alternatives(hint):
        accepted, result = _as_type(alternative, value)
        if accepted:
            _require_range(dotted, value, least, most)
            return result
    raise ConfigError(f"{dotted}: must be {describe(hint)}; got {value!r}")


def require_expressible(dotted: str, value: Any) -> None:
    """Refuses what TOML cannot express or no computer can use: NaN, infinities, more than 64 bits, objects of other types.

    Raises:
        ConfigError: `value`, or something inside the list or table that it is, is one of these; the message says where.
    """
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ConfigError(f"{dotted}: must be finite; got {value!r}")
    elif isinstance(value, int):
        if not -LARGEST_INTEGER - 1 <= value <= LARGEST_INTEGER:
            raise ConfigError(f"{dotted}: must fit into 64 bits, as every whole number of TOML")
    elif isinstance(value, str):
        if any(character == "\0" or "\ud800" <= character <= "\udfff" for character in value):
            raise ConfigError(f"{dotted}: must be text without NUL characters and broken UTF-8; got {value!r}")
    elif isinstance(value, list | tuple):
        for index, entry in enumerate(value):
            require_expressible(f"{dotted}[{index}]", entry)
    elif isinstance(value, dict):
        for key, entry in value.items():
            require_expressible(f"{dotted}.{key}", entry)
    else:
        raise ConfigError(f"{dotted}: must be text, a number, true or false, a list or a table; got {value!r}")


def alternatives(hint: Any) -> tuple[Any, ...]:
    """The members of a union, or the hint alone."""
    return get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)


def expressible(hint: Any) -> bool:
    """Whether TOML has values of this type.

    >>> expressible(int | None), expressible(list[float]), expressible(list[object]), expressible(None)
    (True, True, False, False)
    """
    if len(alternatives(hint)) > 1:
        return any(map(expressible, alternatives(hint)))
    origin = get_origin(hint) or hint
    if origin in _LISTS:
        return all(expressible(entry) for entry in get_args(hint) if entry is not Ellipsis)
    return hint in WORDS or hint is Any or origin is Literal or origin in _TABLES


def describe(hint: Any) -> str:
    """The type in words, as the end of "must be ...".

    >>> describe(int | Literal["auto"]), describe(tuple[int, ...])
    ("a whole number or 'auto'", 'a list, each entry a whole number')
    """
    if len(alternatives(hint)) > 1:
        return " or ".join(describe(choice) for choice in alternatives(hint) if expressible(choice))
    origin, arguments = get_origin(hint) or hint, get_args(hint)
    if origin is Literal:
        return " or ".join(map(repr, arguments))
    if origin in _TABLES:
        return "a table"
    if origin in _LISTS:
        if _length(hint) is not None:
            return f"a list of {len(arguments)}: {', '.join(map(describe, arguments))}"
        return f"a list, each entry {describe(arguments[0])}" if arguments else "a list"
    return WORDS.get(hint, "anything")


def hints_of(factory: Any) -> dict[str, Any]:
    """The types of a class's or function's keywords; none where they cannot be worked out."""
    constructor: Any = factory
    function = constructor.__init__ if isinstance(factory, type) else factory
    try:
        # torch.optim imports the abstract collections for type checkers alone.
        return get_type_hints(function, localns=vars(collections.abc))
    except (NameError, TypeError, AttributeError):
        return {}


def _as_type(hint: Any, value: Any) -> tuple[bool, Any]:
    origin = get_origin(hint) or hint
    if hint is Any:
        return True, value
    if origin is Literal:
        return any(type(value) is type(choice) and value == choice for choice in get_args(hint)), value
    if origin in _LISTS:
        return _as_list(hint, value)
    if origin in _TABLES:
        return isinstance(value, dict), value
    if hint is float and type(value) is int:
        return True, float(value)
    if hint is int and isinstance(value, bool):
        return False, value
    return hint in WORDS and isinstance(value, hint), value


def _as_list(hint: Any, value: Any) -> tuple[bool, Any]:
    arguments, length = get_args(hint), _length(hint)
    if not isinstance(value, list | tuple) or length not in (None, len(value)):
        return False, value
    types_of_entries = arguments if length is not None else (arguments or (Any,))[:1] * len(value)
    entries = []
    for entry, type_of_entry in zip(value, types_of_entries, strict=True):
        results = [result for accepted, result in (_as_type(a, entry) for a in alternatives(type_of_entry)) if accepted]
        if not results:
            return False, value
        entries.append(results[0])
    return True, tuple(entries) if (get_origin(hint) or hint) is tuple else entries


def _length(hint: Any) -> int | None:
    """How long a list of this type must be: that of a tuple without an ellipsis."""
    arguments = get_args(hint)
    return len(arguments) if get_origin(hint) is tuple and Ellipsis not in arguments else None


def _require_range(dotted: str, value: Any, least: float | None, most: float | None) -> None:
    if isinstance(value, list | tuple):
        for index, entry in enumerate(value):
            _require_range(f"{dotted}[{index}]", entry, least, most)
    elif isinstance(value, int | float):
        if least is not None and value < least:
            raise ConfigError(f"{dotted}: must be at least {least}; got {value!r}")
        if most is not None and value > most:
            raise ConfigError(f"{dotted}: must be at most {most}; got {value!r}")
