"""What each worker has been caught at."""

from collections import Counter
from typing import Final

from byzshield.errors import CheckpointError

__all__ = ["CAUSES", "Blame"]

CAUSES: Final = ("minority", "payload_mismatch", "malformed", "timeout", "lost", "non_finite")


class Blame:
    """Counts faults by worker and cause.

    minority: voted against a file's winner. payload_mismatch: sent a payload that is not what it voted for. malformed: sent a
    frame that is damaged or out of place. timeout: silent past a deadline while it was waited for. lost: its process died.
    non_finite: supported a winner with a NaN or an infinity.

    Args:
        num_workers: K.
    """

    def __init__(self, num_workers: int) -> None:
        self._counts = [Counter[str]() for _ in range(num_workers)]

    def add(self, worker: int, cause: str) -> None:
        """Counts one fault of `worker`; `cause` is one of CAUSES."""
        self._counts[worker][cause] += 1

    def count(self, worker: int, cause: str) -> int:
        """How often `worker` was caught at `cause`."""
        return self._counts[worker][cause]

    def report(self) -> dict[str, dict[str, int]]:
        """The counts of every worker that was caught at anything, keyed by its number as text."""
        return {
            str(worker): {cause: counts[cause] for cause in CAUSES}
            for worker, counts in enumerate(self._counts)
            if counts.total()
        }

    def restore(self, report: dict[str, dict[str, int]]) -> None:
        """Sets the counts from a `report`.

        Raises:
            CheckpointError: it names a worker that does not exist.
        """
        for counts in self._counts:
            counts.clear()
        for worker, causes in report.items():
            if int(worker) >= len(self._counts):
                raise CheckpointError(f"the checkpoint blames worker {worker} of {len(self._counts)}")
            self._counts[int(worker)].update(causes)
