"""How long the votes of one step are waited for, as measured against the votes of the others."""

from math import inf

from byzshield.training.pace import FLOOR, SPARED, VOTE_FLOOR, Pace, usual

__all__ = ["VoteDeadlines"]


class VoteDeadlines:
    """Says who should have voted by now.

    Nothing is known until more than half of the workers have voted on all their files, which happens only in a step that waits
    for somebody: others end earlier, with r' of r votes. Then a worker has what is usual for as many files as its rank computes,
    with a margin of at least 1 / r: a step without faults is decided after r' / r of the work, so one that waits lasts twice
    as long. A worker that was not late lately may take `Pace.patience`. Before that, and at most, each has the ceiling.

    Args:
        pace: what is remembered of the workers.
        load: files of each worker.
        began: when the parameters were sent.
    """

    def __init__(self, pace: Pace, *, load: int, began: float) -> None:
        self._pace = pace
        self._began = began
        self._to_come = [load] * len(pace.work)
        self._seconds = dict.fromkeys(range(len(pace.work)), inf)  # a file, of those who have voted on all theirs
        self._waiting = set(self._seconds)
        self._usual = inf
        self.next = began + pace.ceiling
        """When somebody is waited for no longer; infinite if nobody is waited for."""

    def voted(self, worker: int, now: float) -> None:
        """Takes notice of a vote."""
        self._to_come[worker] -= 1
        if not self._to_come[worker] and worker in self._seconds:
            self._seconds[worker] = (now - self._began) / self._pace.work[worker]
            self._waiting.discard(worker)
            self._measure()

    def drop(self, worker: int) -> None:
        """Leaves out a worker that is lost."""
        self._waiting.discard(worker)
        if self._seconds.pop(worker, None) is not None:
            self._measure()

    def late(self, worker: int, now: float) -> bool:
        """Whether a worker that is waited for takes longer than is usual; not if the server could not look for so long."""
        return worker in self._waiting and self._began + self._prompt(worker) < now <= self.next + FLOOR

    def expire(self, now: float) -> list[int]:
        """Stops waiting for those whose time is over, and returns them, ascending."""
        if now < self.next:
            return []
        expired = sorted(worker for worker in self._waiting if now >= self._ends(worker))
        self._waiting.difference_update(expired)
        self._set_next()
        return expired

    def _measure(self) -> None:
        self._usual = usual(list(self._seconds.values()) or [inf], slack=1 / self._pace.replication)
        self._set_next()

    def _set_next(self) -> None:
        self.next = min(map(self._ends, self._waiting), default=inf)

    def _prompt(self, worker: int) -> float:
        return min(self._pace.ceiling, max(VOTE_FLOOR, self._usual * self._pace.work[worker]))

    def _ends(self, worker: int) -> float:
        spared = 0.0 if self._pace.is_often_late(worker) else min(self._pace.ceiling, SPARED)
        return self._began + max(spared, self._pace.patience(worker, self._prompt(worker)))
