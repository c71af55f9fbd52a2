"""How long the votes of one step are waited for, as measured against the votes of the others."""

from math import inf

from byzshield.training.pace import FLOOR, SPARED, VOTE_FLOOR, Pace, usual
from byzshield.training.turns import Turns

__all__ = ["VoteDeadlines"]

MEASURED = 16  # times a step at most, but at each deadline, so that what it costs grows with K and not with its square


class VoteDeadlines:
    """Says who should have voted by now.

    Nothing is known until more than half of the workers have voted on all that they were asked for. Then a worker has what is
    usual for as many files as its rank computes, with a margin of at least 1 / r. Who takes longer is overdue: if others hold
    its files as well, they are asked. That is nobody's fault yet, and costs a gradient at most. A vote without which a file
    would be lost is late only after the time for all files that its rank holds; a worker may then take `Pace.patience`, and is
    given up. Before anything is known, and at most, each has the ceiling.

    Who was asked for nothing counts among those who were quick when it is a matter of asking further workers, so that there is
    always a measure although fewer than half are silent; and among the unknown when it is a matter of giving up a vote.

    Args:
        pace: what is remembered of the workers.
        turns: who votes on how much, and what that costs its rank.
        began: when the parameters were sent.
    """

    def __init__(self, pace: Pace, *, turns: Turns, began: float) -> None:
        self._pace = pace
        self._to_come = list(turns.votes)
        self._seconds = dict.fromkeys(range(len(turns.votes)), inf)  # a file, of those who have voted on all theirs
        self._waiting = {worker for worker, votes in enumerate(turns.votes) if votes}
        self._unasked = self._seconds.keys() - self._waiting
        self._replaceable = any(turns.spare)
        self._overdue: set[int] = set()
        self._asked: dict[int, float] = {}  # when each worker was last asked for what it does not hold
        self._most_work = dict(turns.most_work)
        self._work = dict(turns.work)  # files that each rank computes since it had nothing to do
        self._since = dict.fromkeys(turns.work, began)
        self._open = dict.fromkeys(turns.work, 0)  # votes that are to come from each rank
        for worker, votes in enumerate(turns.votes):
            self._open[pace.rank_of[worker]] += votes
        self._usual = self._brisk = inf
        self._unmeasured = 0
        self._least = min(pace.ceiling, VOTE_FLOOR)  # seconds in which nobody is late
        self._ends_next = self._due_next = inf
        self._set_next()

    @property
    def next(self) -> float:
        """When somebody is overdue, or waited for no longer; infinite if nobody is waited for."""
        return min(self._ends_next, self._due_next)

    def ask(self, worker: int, now: float, *, anew: bool = False) -> None:
        """Expects another vote of a worker, which has as much time for it as for all else if it is to begin anew."""
        rank = self._pace.rank_of[worker]
        if not self._open[rank]:
            self._since[rank], self._work[rank] = now, 0
        self._open[rank] += 1
        self._work[rank] += 1
        if anew:
            self._most_work[rank] = max(self._most_work[rank], self._work[rank])
            self._asked[worker] = now
        self._to_come[worker] += 1
        self._waiting.add(worker)
        self._unasked.discard(worker)
        self._ends_next = min(self._ends_next, self._ends(worker))
        if worker not in self._overdue:
            self._due_next = min(self._due_next, self._due(rank))

    def voted(self, worker: int, now: float) -> None:
        """Takes notice of a vote."""
        rank = self._pace.rank_of[worker]
        self._to_come[worker] -= 1
        self._open[rank] -= 1
        if self._to_come[worker]:
            return
        self._waiting.discard(worker)
        if self._seconds.get(worker) == inf:
            self._seconds[worker] = (now - self._since[rank]) / self._work[rank]
            self._unmeasured += 1
        if self._unmeasured * MEASURED >= len(self._seconds):
            self._measure()

    def drop(self, worker: int) -> None:
        """Leaves out a worker that is lost."""
        self._waiting.discard(worker)
        if self._seconds.pop(worker, None) is not None:
            self._measure()

    def late(self, worker: int, now: float) -> bool:
        """Whether a worker that is waited for takes longer than is usual; not if the server could not look for so long."""
        rank = self._pace.rank_of[worker]
        began = self._since[rank]
        if worker not in self._waiting or now <= began + self._least:
            return False
        return began + self._prompt(rank) < now <= self._ends_next + FLOOR

    def spend(self, worker: int, now: float) -> None:
        """Pays for having waited for a worker until now."""
        prompt = self._prompt(self._pace.rank_of[worker])
        self._pace.spend(now - self._began(worker), prompt=prompt, granted=self._granted(worker, prompt))

    def overdue(self, now: float) -> list[int]:
        """Those who have begun to be overdue, ascending."""
        if now < self._due_next:
            return []
        self._measure()
        due = {rank: self._due(rank) for rank in self._since}
        found = sorted(worker for worker in self._waiting - self._overdue if now >= due[self._pace.rank_of[worker]])
        self._overdue.update(found)
        self._set_next()
        return found

    def expire(self, now: float) -> list[int]:
        """Stops waiting for those whose time is over, and returns them, ascending."""
        if now < self._ends_next:
            return []
        self._measure()
        expired = sorted(worker for worker in self._waiting if now >= self._ends(worker))
        self._waiting.difference_update(expired)
        self._set_next()
        return expired

    def _measure(self) -> None:
        self._unmeasured = 0
        slack = 1 / self._pace.replication
        self._usual = usual(list(self._seconds.values()) or [inf], slack=slack)
        if self._replaceable:
            brisk = [0.0 if worker in self._unasked else seconds for worker, seconds in self._seconds.items()]
            self._brisk = usual(brisk or [inf], slack=slack)
        self._set_next()

    def _set_next(self) -> None:
        self._ends_next = min(map(self._ends, self._waiting), default=inf)
        ranks = {self._pace.rank_of[worker] for worker in self._waiting - self._overdue}
        self._due_next = min(map(self._due, ranks), default=inf)

    def _prompt(self, rank: int) -> float:
        return min(self._pace.ceiling, max(VOTE_FLOOR, self._usual * self._most_work[rank]))

    def _began(self, worker: int) -> float:
        return self._asked.get(worker, self._since[self._pace.rank_of[worker]])

    def _granted(self, worker: int, prompt: float) -> float:
        """Seconds that it has in any case."""
        return prompt if self._pace.is_often_late(worker) else max(prompt, min(self._pace.ceiling, SPARED))

    def _ends(self, worker: int) -> float:
        prompt = self._prompt(self._pace.rank_of[worker])
        return self._began(worker) + max(self._granted(worker, prompt), self._pace.patience(worker, prompt))

    def _due(self, rank: int) -> float:
        if not self._replaceable:
            return inf
        return self._since[rank] + max(FLOOR, self._brisk * self._work[rank])
