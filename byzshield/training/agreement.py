"""Who votes like whom: for each two workers on how many files both have voted, and on how many of them not alike."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Final

from byzshield.errors import CheckpointError

__all__ = ["Agreement"]

MOST_WORKERS: Final = 512  # of which a matrix is kept, K^2 numbers
Pair = tuple[int, int, int, int]


class Agreement:
    """Counts over all steps. Honest workers always agree, and colluders among themselves, so that camps show in the matrix.

    Args:
        num_workers: K; nothing is counted for more than MOST_WORKERS.
    """

    def __init__(self, num_workers: int) -> None:
        self._num_workers = num_workers if num_workers <= MOST_WORKERS else 0
        self._common = [[0] * worker for worker in range(self._num_workers)]  # below the diagonal
        self._unlike = [[0] * worker for worker in range(self._num_workers)]

    def count(self, worker: int, votes: Mapping[int, Hashable]) -> None:
        """Compares a vote with those that came before it; O(r).

        Args:
            worker: whose vote it is.
            votes: of a file, by worker, this one included.
        """
        if not self._num_workers:
            return
        vote = votes[worker]
        for other, value in votes.items():
            if other != worker:
                high, low = (worker, other) if worker > other else (other, worker)
                self._common[high][low] += 1
                self._unlike[high][low] += value != vote

    def copy(self) -> "Agreement":
        """The counts as they are now."""
        copied = Agreement(0)
        copied._num_workers = self._num_workers
        copied._common, copied._unlike = ([row[:] for row in rows] for rows in (self._common, self._unlike))
        return copied

    def pairs(self) -> list[Pair]:
        """(i, j, files on which both have voted, those of them on which not alike) for each two workers i < j with such files."""
        return [
            (low, high, common, self._unlike[high][low])
            for high, row in enumerate(self._common)
            for low, common in enumerate(row)
            if common
        ]

    def load(self, pairs: Sequence[Pair]) -> None:
        """Takes up what `pairs` gave.

        Raises:
            CheckpointError: it names a worker that does not exist.
        """
        for row in (*self._common, *self._unlike):
            row[:] = [0] * len(row)
        for low, high, common, unlike in pairs if self._num_workers else ():
            if not 0 <= low < high < self._num_workers:
                raise CheckpointError(f"the checkpoint compares workers {low} and {high} of {self._num_workers}")
            self._common[high][low], self._unlike[high][low] = common, unlike
