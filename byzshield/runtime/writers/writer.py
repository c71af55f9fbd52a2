"""What a writer of a run's lines is."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

__all__ = ["Line", "Writer"]

Line = Mapping[str, Any]
"""A line of metrics.jsonl; its numbers are finite or None."""


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
