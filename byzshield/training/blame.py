"""What is held against each worker, as a share of what it was asked for."""

import logging
from collections import Counter
from collections.abc import Mapping
from typing import Any

from byzshield.causes import CAUSES, REQUESTS
from byzshield.errors import CheckpointError
from byzshield.log import get_logger
from byzshield.training.agreement import Agreement

__all__ = ["Blame"]

LOG = get_logger(__name__)
MOST_NAMED = 20  # workers in one line of the log


class Blame:
    """Counts faults by worker and cause, and what was asked of each worker; `byzshield.causes` says what each cause means.

    The log of a process hears of a worker's first fault of each kind and of no further one, so that nobody can fill it.

    Attributes:
        agreement: who votes like whom.

    Args:
        num_workers: K.
    """

    def __init__(self, num_workers: int) -> None:
        self.agreement = Agreement(num_workers)
        self._counts = [Counter[str]() for _ in range(num_workers)]
        self._asked = {kind: [0] * num_workers for kind in REQUESTS}
        self._new: dict[int, Counter[str]] = {}
        self._first: dict[str, list[int]] = {}
        self._logged: set[tuple[int, str]] = set()

    def ask(self, worker: int, kind: str, number: int = 1) -> None:
        """Notes that so many of one kind in REQUESTS are asked of `worker`."""
        self._asked[kind][worker] += number

    def add(self, worker: int, cause: str, detail: str = "") -> None:
        """Counts one fault of `worker`.

        Args:
            worker: who.
            cause: one of CAUSES.
            detail: what happened, for the log; without it, the first faults of a step are logged together by `take_new`.
        """
        if (worker, cause) not in self._logged:
            self._logged.add((worker, cause))
            if detail:
                LOG.warning("worker %d: %s (%s; further ones are counted, not logged)", worker, detail, _weight(cause))
            else:
                self._first.setdefault(cause, []).append(worker)
        self._counts[worker][cause] += 1
        self._new.setdefault(worker, Counter())[cause] += 1

    def count(self, worker: int, cause: str) -> int:
        """How often `worker` was counted for `cause`."""
        return self._counts[worker][cause]

    def take_new(self, step: int) -> dict[str, dict[str, int]]:
        """What was counted since the last call, by worker and cause without zeros; logs who was counted for the first time."""
        for cause, workers in self._first.items():
            level = logging.WARNING if CAUSES[cause].proof else logging.INFO
            LOG.log(level, "step %d: %s, for the first time: %s (%s)", step, CAUSES[cause].words, _named(workers), _weight(cause))
        new = {str(worker): dict(counts) for worker, counts in sorted(self._new.items())}
        self._new, self._first = {}, {}
        return new

    def report(self) -> dict[str, dict[str, int]]:
        """The counts of every worker that was counted for anything, keyed by its number as text."""
        return {
            str(worker): {cause: counts[cause] for cause in CAUSES}
            for worker, counts in enumerate(self._counts)
            if counts.total()
        }

    def asked(self) -> dict[str, dict[str, int]]:
        """How many requests of each kind each worker got, keyed by its number as text."""
        return {str(worker): {kind: self._asked[kind][worker] for kind in REQUESTS} for worker in range(len(self._counts))}

    def copy(self) -> "Blame":
        """All counts as they are now, for their `state_dict`."""
        copied = Blame(0)
        copied.agreement = self.agreement.copy()
        copied._counts = [counts.copy() if counts else Counter() for counts in self._counts]
        copied._asked = {kind: numbers.copy() for kind, numbers in self._asked.items()}
        return copied

    def state_dict(self) -> dict[str, Any]:
        """All counts, for a checkpoint."""
        return {"blamed": self.report(), "asked": self.asked(), "agreement": self.agreement.pairs()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes up what `state_dict` gave; earlier checkpoints hold the `report` alone.

        Raises:
            CheckpointError: it names a worker that does not exist.
        """
        blamed, asked = (state["blamed"], state["asked"]) if "blamed" in state else (state, {})
        num_workers = len(self._counts)
        for worker in (*blamed, *asked):
            if int(worker) >= num_workers:
                raise CheckpointError(f"the checkpoint blames worker {worker} of {num_workers}")
        self._counts = [Counter(blamed.get(str(worker), {})) for worker in range(num_workers)]
        self._asked = {kind: [asked.get(str(worker), {}).get(kind, 0) for worker in range(num_workers)] for kind in REQUESTS}
        self.agreement.load(state.get("agreement", []) if "blamed" in state else [])
        self._new, self._first = {}, {}


def _weight(cause: str) -> str:
    return "proof" if CAUSES[cause].proof else "evidence, no proof"


def _named(workers: list[int]) -> str:
    listed = ", ".join(str(worker) for worker in sorted(workers)[:MOST_NAMED])
    more = len(workers) - MOST_NAMED
    return f"worker{'' if len(workers) == 1 else 's'} {listed}{f' and {more} more' if more > 0 else ''}"
