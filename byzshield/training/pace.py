"""How long the server waits for a worker: what is usual among all of them, and who was late lately."""

from collections.abc import Mapping, Sequence
from math import inf
from statistics import median_low
from typing import Any, Final

__all__ = ["FLOOR", "SPARED", "VOTE_FLOOR", "Pace", "usual"]

FLOOR: Final = 0.1  # seconds; no payload is late before: a busy operating system may keep an honest process waiting for as long
VOTE_FLOOR: Final = 2.0  # seconds; no vote is late before
SPARED: Final = 5.0  # seconds; no vote is given up before, since a file may be lost with it, but those of who is late often
DEVIATIONS: Final = 3.0  # median absolute deviations above the median that are still usual
PATIENCE: Final = 4.0  # times the usual, for a worker that was not waited for in vain lately and without whom a file is lost
LEAST_PATIENCE: Final = 10.0  # seconds, if that is longer
MOST_CREDIT: Final = 4.0  # steps in a row that may last so long; a shorter wait takes a part of one
EARNED: Final = 1 / 32  # of such a step, by each step
FADING: Final = 0.98  # what a step leaves of the memory of lateness
MOST_LATENESS: Final = 4.0  # gone after about a hundred steps
SLOW: Final = 0.5  # a worker that was late once is slow for about 34 steps
OFTEN: Final = 2.5  # one that was late three times within about ten steps is late often
DOUBTFUL: Final = 1.5  # one that was late, or whose votes did not serve, twice within about fourteen steps is doubted


def usual(seconds: Sequence[float], *, slack: float) -> float:
    """What most need and a margin: median + 3 MAD, from 1 + slack to 2 medians; infinite while half of them are unknown.

    Of numbers of which fewer than half are false, the median and the median absolute deviation stay within the range of the
    true ones. Both are lower medians, so that the unknown, which are infinite, count as slow.

    >>> usual([1.0, 1.0, 2.0, 1.0, 900.0], slack=0.5)
    1.5
    """
    median = median_low(seconds)
    if median == inf:
        return inf
    deviation = median_low([abs(each - median) for each in seconds])
    return min(2 * median, median + max(DEVIATIONS * deviation, slack * median))


class _Memory:
    """Counts something of each worker, once a step, and forgets it slowly."""

    def __init__(self, num_workers: int) -> None:
        self.counts = [0.0] * num_workers
        self._now: set[int] = set()

    def begin_step(self) -> None:
        self.counts = [count * FADING for count in self.counts]
        self._now = set()

    def add(self, worker: int) -> None:
        if worker not in self._now:
            self._now.add(worker)
            self.counts[worker] = min(MOST_LATENESS, self.counts[worker] + 1)

    def state_dict(self) -> list[float]:
        return list(self.counts)

    def load_state_dict(self, counts: Sequence[float]) -> None:
        if len(counts) != len(self.counts):
            raise ValueError(f"it remembers {len(counts)} workers, and there are {len(self.counts)}")
        self.counts, self._now = list(counts), set()


class _Seconds:
    """The longest that each worker took for something when it last did it; infinite while that is unknown."""

    def __init__(self, num_workers: int) -> None:
        self.known = [inf] * num_workers
        self._now: dict[int, float] = {}

    def take_up(self) -> None:
        for worker, seconds in self._now.items():
            self.known[worker] = seconds
        self._now = {}

    def fill_up(self) -> None:
        """Takes up what this step has shown of those who are unknown."""
        self.known = [self._now.get(worker, inf) if known == inf else known for worker, known in enumerate(self.known)]

    def add(self, worker: int, seconds: float) -> None:
        self._now[worker] = max(seconds, self._now.get(worker, 0.0))


class Pace:
    """Remembers across steps what workers needed and who was late; without a clock, in memory for K workers.

    One worker is one number in every statistic, however much it sends, so that fewer than half of the workers cannot move a
    limit out of the range of what the others need.

    Who was late is slow until that has faded: it is asked for payloads last. Nobody waits longer than is usual for one who was
    waited for in vain. Others may take several times as long if a file would be lost without them, also if they were late before,
    as on a bad link. The longest such wait of a step, or of a window, is paid for with a credit, which comes back slowly: so
    whoever is late, and however often, many steps together last no longer than if one in 32 were so long.

    A worker that was late twice, or waited for in vain, or whose votes twice came too late or lost, is doubted: others are asked
    for the same votes from the start. That is held against nobody, and costs gradients alone. A busy host keeps a process waiting
    for a moment now and then, and somebody else can deliver: so being late once costs none.

    None of it decides which bytes win. What is measured in seconds is no part of a checkpoint: what another job has measured, on
    other hosts perhaps, says nothing, and what is not measured yet has the whole `ceiling`. Whose votes and payloads did not
    serve, and who was asked when, stays, so that a job that goes on asks whom it would have asked.

    Args:
        rank_of: for each worker the rank that hosts it.
        replication: r.
        ceiling: seconds that nothing is waited for longer.
    """

    def __init__(self, *, rank_of: Sequence[int], replication: int, ceiling: float) -> None:
        self.rank_of = list(rank_of)
        self.replication = replication
        self.ceiling = ceiling
        self.payload_limit = ceiling
        """Seconds after which a worker that was asked for a payload is late."""
        self._lateness = _Memory(len(rank_of))
        self._false = _Memory(len(rank_of))  # the part of it that no clock has measured
        self._useless = _Memory(len(rank_of))
        self._in_vain = _Memory(len(rank_of))  # who was given up, or is proven to be false
        self._credit = MOST_CREDIT
        self._spent = 0.0
        self._payloads, self._later_payloads = _Seconds(len(rank_of)), _Seconds(len(rank_of))
        self._measured = self._payloads
        self._deciding_seconds = 0.0
        self.decisions = 0  # in this step
        self._step = 0
        self._asked_now = [0] * len(rank_of)
        self._asked_at = [0] * len(rank_of)

    def begin_step(self) -> None:
        """Takes up what the step before has shown, and lets what is older fade."""
        self._payloads.take_up()
        self._later_payloads.take_up()
        # A worker may compute one more file before it hears that it is asked.
        self.payload_limit = self._limit(self._payloads, self._deciding_seconds / 2)
        self._measured = self._payloads
        for memory in (self._lateness, self._false, self._useless, self._in_vain):
            memory.begin_step()
        self._pay()
        self._credit = min(MOST_CREDIT, self._credit + EARNED)
        self._deciding_seconds = 0.0
        self.decisions = 0
        self._step += 1
        self._asked_now = [0] * len(self.rank_of)

    def begin_window(self) -> None:
        """Goes on to further payloads of a step whose files are decided, so that nobody computes; each such wait is paid for."""
        self._pay()
        self._measured = self._later_payloads
        self._measured.fill_up()
        self.payload_limit = min(self.payload_limit, self._limit(self._measured, 0.0))

    def _limit(self, measured: _Seconds, busy: float) -> float:
        return min(self.ceiling, max(FLOOR, usual(measured.known, slack=0.5) + busy))

    def _pay(self) -> None:
        self._credit, self._spent = max(0.0, self._credit - self._spent), 0.0

    def is_slow(self, worker: int) -> bool:
        """Whether it was late so lately that it is asked for a payload last."""
        return self._lateness.counts[worker] >= SLOW

    def is_often_late(self, worker: int) -> bool:
        """Whether it was late so often of late that nobody is spared for its sake."""
        return self._lateness.counts[worker] >= OFTEN

    def is_given_up(self, worker: int) -> bool:
        """Whether it was waited for in vain so lately that nobody should wait for it."""
        return self._in_vain.counts[worker] >= SLOW

    def patience(self, worker: int, prompt: float) -> float:
        """Seconds to wait for a worker if a file is lost without it, where `prompt` is usual."""
        if self.is_given_up(worker):
            return prompt
        return prompt + min(1.0, self._credit) * (self._most(prompt) - prompt)

    def _most(self, prompt: float) -> float:
        return min(self.ceiling, max(LEAST_PATIENCE, PATIENCE * prompt))

    def late(self, worker: int, *, false: bool = False) -> None:
        """Remembers that a worker was late, or sent what is useless (`false`), so that nobody waits for it; once a step."""
        self._lateness.add(worker)
        if false:
            self._false.add(worker)
            self._in_vain.add(worker)

    def give_up(self, worker: int) -> None:
        """Remembers that a worker was waited for in vain; once a step."""
        self._in_vain.add(worker)

    def is_doubted(self, worker: int) -> bool:
        """Whether it served so little of late that others are asked for the same votes from the start."""
        return self.is_given_up(worker) or max(self._lateness.counts[worker], self._useless.counts[worker]) >= DOUBTFUL

    def doubt(self, worker: int) -> None:
        """Remembers that a vote of a worker lost, or had to be replaced; once a step."""
        self._useless.add(worker)

    def spend(self, seconds: float, *, prompt: float, granted: float) -> None:
        """Pays for having waited for somebody, where `prompt` is usual and `granted` is free; the longest of a step counts."""
        if (most := self._most(prompt)) > granted:
            self._spent = max(self._spent, (seconds - granted) / (most - granted))

    def decided(self, seconds: float, *, late: bool = False) -> None:
        """Notes that a file, or all at once, was decided so long after the parameters were sent; a `late` vote is no measure."""
        self.decisions += 1
        if not late:
            self._deciding_seconds = seconds

    def delivered(self, worker: int, seconds: float) -> None:
        """Notes that a part of a payload came, or was overdue, so long after it was asked for; the longest of a step counts."""
        self._measured.add(worker, seconds)

    def first_to_ask(self, members: Sequence[int]) -> int:
        """Whom to ask for a payload: the slow last, then by what was asked in this step, then by when it was asked before.

        So in time every worker is measured.
        """
        lateness, asked_now, asked_at = self._lateness.counts, self._asked_now, self._asked_at
        return min(members, key=lambda one: (lateness[one] >= SLOW, asked_now[one], asked_at[one], one))

    def ask(self, worker: int) -> None:
        """Notes that a worker is asked for a payload."""
        self._asked_now[worker] += 1
        self._asked_at[worker] = self._step

    def state_dict(self) -> dict[str, Any]:
        """What no clock has measured, for a checkpoint."""
        return {
            "false": self._false.state_dict(),
            "useless": self._useless.state_dict(),
            "asked_at": list(self._asked_at),
            "step": self._step,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes up what `state_dict` gave.

        Raises:
            KeyError, TypeError, ValueError: it is of other workers.
        """
        self._false.load_state_dict(state["false"])
        self._lateness.load_state_dict(state["false"])
        self._in_vain.load_state_dict(state["false"])
        self._useless.load_state_dict(state["useless"])
        self._asked_at, self._step = list(state["asked_at"]), state["step"]
