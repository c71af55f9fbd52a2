"""One step's votes: what every exchange has in common."""

from abc import ABC, abstractmethod

from byzshield.arrays import Float32
from byzshield.placement import Assignment
from byzshield.training.blame import Blame
from byzshield.voting import Ballot
from byzshield.wire import ChunkLayout, Frame

__all__ = ["Round"]


class Round(ABC):
    """Collects the votes of one step and fills the matrix of winners, without I/O and without a clock.

    A file is complete once its winner stands in the matrix, undecided once that cannot happen any more; the round is done when
    each file is one or the other. Nobody who cannot change a decision is waited for.

    Args:
        step: the training step, from 1.
        assignment: who holds which file.
        layout: the chunks of a gradient.
        matrix: float32 [f, d]; row i is written when file i is complete, and holds anything before.
        blame: where faults are counted.
        timeout: seconds for the votes, and again for each payload that is asked for.
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
        timeout: float,
        now: float,
    ) -> None:
        self.step = step
        self.complete: set[int] = set()
        self.undecided: set[int] = set()
        self.ballots: list[Ballot[bytes]] = [Ballot(workers) for workers in assignment.workers_of.tolist()]
        self._layout = layout
        self._matrix = matrix
        self._blame = blame
        self._timeout = timeout
        self._voting_ends = now + timeout
        self._voting_over = False

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
        if now < self._voting_ends or self._voting_over:
            return []
        self._voting_over = True
        late: set[int] = set()
        for file, ballot in enumerate(self.ballots):
            if file not in self.undecided and ballot.winner is None:
                late.update(ballot.silent)
                self.undecided.add(file)
        for worker in sorted(late):
            self._blame.add(worker, "timeout")
        return []

    def next_deadline(self) -> float | None:
        """When `tick` has something to do next; None if never."""
        return None if self._voting_over or self.done else self._voting_ends

    def give_up_on(self, worker: int, now: float) -> list[Frame]:
        """Stops waiting for a worker whose process is gone; returns what to send."""
        for file, ballot in enumerate(self.ballots):
            if worker in ballot.voters:
                ballot.give_up_on(worker)
                self._check_still_open(file)
        return []

    def _cast(self, worker: int, file: int, value: bytes) -> bool:
        """Enters a vote, counts the dissent that it shows, and returns whether the file can be completed because of it."""
        ballot = self.ballots[file]
        decided_now = ballot.cast(worker, value)
        if decided_now:
            for dissenter in ballot.dissenters:
                self._blame.add(dissenter, "minority")
        elif ballot.winner is not None and value != ballot.winner:
            self._blame.add(worker, "minority")
        else:
            self._check_still_open(file)
        return decided_now and file not in self.undecided

    def _check_still_open(self, file: int) -> None:
        ballot = self.ballots[file]
        if ballot.winner is None and not ballot.open:
            self.undecided.add(file)
