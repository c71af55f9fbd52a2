"""One step's votes: what every exchange has in common."""

from abc import ABC, abstractmethod
from math import inf

from byzshield.arrays import Float32
from byzshield.placement import Assignment
from byzshield.training.blame import Blame
from byzshield.training.pace import Pace
from byzshield.training.vote_deadlines import VoteDeadlines
from byzshield.voting import Ballot
from byzshield.wire import ChunkLayout, Frame

__all__ = ["Round"]


class Round(ABC):
    """Collects the votes of one step and fills the matrix of winners, without I/O and without a clock.

    A file is complete once its winner stands in the matrix, undecided once that cannot happen any more; the round is done when
    each file is one or the other. Nobody who cannot change a decision is waited for, and nobody for much longer than the others
    need.

    Args:
        step: the training step, from 1.
        assignment: who holds which file.
        layout: the chunks of a gradient.
        matrix: float32 [f, d]; row i is written when file i is complete, and holds anything before.
        blame: where faults are counted.
        pace: how long who is waited for.
        now: the time at which the parameters were sent, in seconds of any clock.
    """

    def __init__(
        self,
        *,
        step: int,
        assignment: Assignment,
        layout: ChunkLayout,
        matrix: Float32,
        blame: Blame,
        pace: Pace,
        now: float,
    ) -> None:
        self.step = step
        self.complete: set[int] = set()
        self.undecided: set[int] = set()
        self.ballots: list[Ballot[bytes]] = [Ballot(workers) for workers in assignment.workers_of.tolist()]
        self._layout = layout
        self._matrix = matrix
        self._blame = blame
        self._pace = pace
        self._began = now
        self._votes = VoteDeadlines(pace, load=assignment.load, began=now)
        self._slow: set[int] = set()

    @property
    def done(self) -> bool:
        """Whether every file is complete or undecided."""
        return len(self.complete) + len(self.undecided) == len(self.ballots)

    @abstractmethod
    def receive(self, frame: Frame, now: float) -> list[Frame]:
        """Takes a frame of this step from `frame.worker`; returns what to send.

        Raises:
            FrameError: the frame has no place in this round; nothing has changed.
        """

    def tick(self, now: float) -> list[Frame]:
        """Acts on deadlines that have passed; returns what to send."""
        if expired := self._votes.expire(now):
            open_files = [
                ballot for file, ballot in enumerate(self.ballots) if ballot.winner is None and file not in self.undecided
            ]
            waited_for = {worker for ballot in open_files for worker in ballot.silent}
            for worker in waited_for.intersection(expired):
                self._count_late_votes(worker, "timeout")
            for worker in expired:
                self._expect_no_vote_of(worker)
        return []

    def next_deadline(self) -> float:
        """When `tick` has something to do next; infinite if never."""
        return inf if self.done else self._votes.next

    def give_up_on(self, worker: int, now: float) -> list[Frame]:
        """Stops waiting for a worker whose process is gone; returns what to send."""
        self._votes.drop(worker)
        self._expect_no_vote_of(worker)
        return []

    def _cast(self, worker: int, file: int, value: bytes, now: float) -> bool:
        """Enters a vote, counts what it shows, and returns whether the file can be completed because of it."""
        ballot = self.ballots[file]
        needed = ballot.winner is None and file not in self.undecided
        decided_now = ballot.cast(worker, value)
        if needed and worker not in self._slow and self._votes.late(worker, now):
            self._slow.add(worker)
            self._count_late_votes(worker, "slow")
        self._votes.voted(worker, now)
        if decided_now:
            self._pace.decided(now - self._began)
            for dissenter in ballot.dissenters:
                self._blame.add(dissenter, "minority")
        elif ballot.winner is not None and value != ballot.winner:
            self._blame.add(worker, "minority")
        else:
            self._check_still_open(file)
        return decided_now and file not in self.undecided

    def _count_late_votes(self, worker: int, cause: str) -> None:
        if not self._pace.is_slow(worker):
            self._pace.spend()
        self._blame.add(worker, cause)
        self._pace.late(worker)

    def _expect_no_vote_of(self, worker: int) -> None:
        for file, ballot in enumerate(self.ballots):
            if worker in ballot.voters:
                ballot.give_up_on(worker)
                self._check_still_open(file)

    def _check_still_open(self, file: int) -> None:
        ballot = self.ballots[file]
        if ballot.winner is None and not ballot.open:
            self.undecided.add(file)
