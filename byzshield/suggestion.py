"""A hint for a name that does not exist."""

import difflib
from collections.abc import Iterable

__all__ = ["suggestion"]


def suggestion(name: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown name: the nearest known one, or else all of them.

    >>> suggestion("medain", ["mean", "median"]), suggestion("x", ["mean", "median"])
    ("did you mean 'median'?", 'known: mean, median')
    """
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1)
    return f"did you mean {near[0]!r}?" if near else f"known: {', '.join(names)}"
