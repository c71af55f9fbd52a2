"""A hint for a name that does not exist."""

import difflib
from collections.abc import Iterable

__all__ = ["nearest", "suggestion"]


def suggestion(name: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown name: the nearest known one, or else all of them.

    >>> suggestion("medain", ["mean", "median"]), suggestion("x", ["mean", "median"])
    ("did you mean 'median'?", 'known: mean, median')
    >>> suggestion("CIFAR10", ["Cifar10", "Cifar100"])
    "did you mean 'Cifar10'?"
    """
    names = sorted(known)
    near = nearest(name, names)
    return f"known: {', '.join(names)}" if near is None else f"did you mean {near!r}?"


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that is nearest, in capitals or not; None if none is near."""
    by_letters = {known_name.lower(): known_name for known_name in sorted(known)}
    near = difflib.get_close_matches(name.lower(), by_letters, n=1)
    return by_letters[near[0]] if near else None
