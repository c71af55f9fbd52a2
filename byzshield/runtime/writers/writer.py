"""What a writer of a run's lines is."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

__all__ = ["Line", "Writer", "numbers_of"]

Line = Mapping[str, Any]
"""A line of metrics.jsonl; its numbers are finite or None."""


def numbers_of(line: Line) -> dict[str, float | bool]:
    """The numbers of a line; one in a table has the table's name before its own.

    >>> numbers_of({"step": 3, "breakdown": {"wait": 0.5}, "reason": "none"})
    {'step': 3, 'breakdown/wait': 0.5}
    """
    numbers: dict[str, float | bool] = {}
    for name, value in line.items():
        entries = {f"{name}/{key}": entry for key, entry in value.items()} if isinstance(value, Mapping) else {name: value}
        numbers.update((key, entry) for key, entry in entries.items() if isinstance(entry, int | float))
    return numbers


class Writer(Protocol):
    """Keeps a file that says what the lines say.

    It is made with the lines that a run goes on from, and replaces what an earlier job has left, so that no step is in the
    file twice, nor any that was undone.
    """

    def write(self, lines: Sequence[Line], *, ended: bool = False) -> None:
        """Brings the file up to date.

        Args:
            lines: all of the run, oldest first; those that were there before are the same.
            ended: whether no further ones come.

        Raises:
            StorageError: it cannot be written now; what is missing is written by a later call.
        """

    def close(self) -> None:
        """Closes what is open.

        Raises:
            StorageError: the disk has failed.
        """
