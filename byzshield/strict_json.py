"""JSON as the standard has it: no NaN and no infinity, which many programs refuse to read."""

import json
import math
from typing import Any

__all__ = ["dumps", "finite"]


def dumps(value: Any, *, indent: int | None = None) -> str:
    """The JSON text of `value`, with null in place of numbers that are not finite."""
    return json.dumps(finite(value), indent=indent, allow_nan=False)


def finite(value: Any) -> Any:
    """A copy of nested dicts, lists and tuples with None in place of floats that are not finite.

    >>> finite({"loss": float("nan"), "rows": [1.0, float("inf")]})
    {'loss': None, 'rows': [1.0, None]}
    """
    if isinstance(value, dict):
        return {key: finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
