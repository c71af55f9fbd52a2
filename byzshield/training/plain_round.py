"""One step's votes, where nobody checks them: what every exchange has in common."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from math import inf

from byzshield.arrays import Float32, Float64
from byzshield.errors import FrameError
from byzshield.log import get_logger
from byzshield.placement import Assignment
from byzshield.training.blame import Blame
from byzshield.training.pace import Pace
from byzshield.training.turns import Turns
from byzshield.training.vote_deadlines import VoteDeadlines
from byzshield.voting import Ballot, Detection, disagreements
from byzshield.wire import ChunkLayout, Frame, messages

__all__ = ["PlainRound"]

LOG = get_logger(__name__)


class PlainRound(ABC):
    """Collects the votes of one step and fills the matrix of winners, without I/O and without a clock.

    A file is complete once its winner stands in the matrix, undecided once that cannot happen any more; the round is done when
    each file is one or the other. Nobody who cannot change a decision is waited for, and nobody for much longer than the others
    need. Who holds a spare copy, which nobody needs if nobody fails, is asked for its vote only if a copy that was asked for
    before is false, late or lost, or its payload does not come; which copies are asked for changes no winner. With a
    `detection`, any vote can change any decision, so the files are decided all at once when no vote is waited for.

    Args:
        step: the training step, from 1.
        assignment: who holds which file.
        layout: the chunks of a gradient.
        matrix: [f, d], float32 or what is sent; row i is written when file i is complete, and holds anything before.
        blame: where faults are counted.
        pace: how long who is waited for.
        turns: who votes at once, and who on request.
        now: the time at which the parameters were sent, in seconds of any clock.
        detection: finds proven Byzantine workers, whose votes are discarded; None for the plain vote.
    """

    def __init__(
        self,
        *,
        step: int,
        assignment: Assignment,
        layout: ChunkLayout,
        matrix: Float32 | Float64,
        blame: Blame,
        pace: Pace,
        turns: Turns,
        now: float,
        detection: Detection | None = None,
    ) -> None:
        self.step = step
        self.discarded: frozenset[int] = frozenset()
        self.complete: set[int] = set()
        self.undecided: set[int] = set()
        self.ballots: list[Ballot[bytes]] = [
            Ballot(workers, threshold=assignment.threshold, counted_at_end=detection is not None)
            for workers in assignment.workers_of.tolist()
        ]
        self._layout = layout
        self._matrix = matrix
        self._blame = blame
        self._pace = pace
        self._began = now
        self._votes = VoteDeadlines(pace, turns=turns, began=now)
        self._slow: set[int] = set()
        self._files_of = assignment.files_of
        self._spare = [set(workers) for workers in turns.spare]  # those who have not been asked to vote on each file
        self._requested = [0] * assignment.num_workers
        self._unreliable = set(filter(pace.is_doubted, range(assignment.num_workers))) if any(turns.spare) else set()
        self._detection = detection
        self._counted = False
        self._num_workers = assignment.num_workers
        self._awaited = set(range(len(self.ballots)))

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

    def begin(self, now: float) -> list[Frame]:
        """Returns what to send behind the parameters: requests to vote in the place of those who are doubted."""
        return [request for worker in sorted(self._unreliable) for request in self._replace_votes_of(worker, now)]

    def tick(self, now: float) -> list[Frame]:
        """Acts on deadlines that have passed; returns what to send."""
        requests: list[Frame] = []
        if expired := self._votes.expire(now):
            for worker in list(filter(self._is_waited_for, expired)):
                self._votes.spend(worker, now)
                self._count_late_votes(worker, "timeout")
                self._pace.give_up(worker)
            for worker in expired:
                requests += self._expect_no_vote_of(worker, now)
                requests += self._replace_votes_of(worker, now)
        for worker in self._votes.overdue(now):
            if replaced := self._replace_votes_of(worker, now):
                self._pace.doubt(worker)
            requests += replaced
        return requests + self._count_if_complete(now)

    def next_deadline(self) -> float:
        """When `tick` has something to do next; infinite if never."""
        return inf if self.done else self._votes.next

    def give_up_on(self, workers: Sequence[int], now: float) -> list[Frame]:
        """Stops waiting for workers whose process is gone; returns what to send."""
        for worker in workers:
            self._votes.drop(worker)
        absent = [request for worker in workers for request in self._expect_no_vote_of(worker, now)]
        replaced = [request for worker in workers for request in self._replace_votes_of(worker, now)]
        return absent + replaced + self._count_if_complete(now)

    @abstractmethod
    def _complete(self, file: int, now: float) -> list[Frame]:
        """Gets the payload of a file that has a winner; returns what to send."""

    def _cast(self, worker: int, file: int, value: bytes, now: float) -> list[Frame]:
        """Enters a vote, counts what it shows, and completes what is decided because of it; returns what to send."""
        ballot = self.ballots[file]
        if worker in self._spare[file]:
            raise FrameError(f"nobody asked worker {worker} to vote on file {file}")
        needed = ballot.winner is None and file not in self.undecided
        requests: list[Frame] = []
        done = self.done
        decided_now = ballot.cast(worker, value)
        if not done:  # what comes later might come to a job that has ended
            self._blame.agreement.count(worker, ballot.votes)
        late = needed and self._votes.late(worker, now)
        if late:
            self._votes.spend(worker, now)
            if worker not in self._slow:
                self._slow.add(worker)
                self._count_late_votes(worker, "slow")
        self._votes.voted(worker, now)
        if decided_now:
            if needed:
                self._pace.decided(now - self._began, late=late)
            self._blame_dissenters(ballot)
        elif ballot.winner is not None and value != ballot.winner:
            requests += self._take_dissent(worker, file, value, now)
        else:
            self._check_still_open(file)
            if ballot.winner is None and (ballot.disputed or not self._unreliable.isdisjoint(ballot.voters)):
                requests += self._ask_further(file, now)
        requests += self._take_vote(worker, file)
        if decided_now and file not in self.undecided:
            return self._take_decision(file, now)
        return requests + self._count_if_complete(now)

    def _take_dissent(self, worker: int, file: int, value: bytes, now: float) -> list[Frame]:
        """Counts a vote against a winner; returns what to send."""
        self._blame_dissenter(worker)
        return []

    def _take_vote(self, worker: int, file: int) -> list[Frame]:
        """Is told of a vote that was entered; returns what to send."""
        return []

    def _take_decision(self, file: int, now: float) -> list[Frame]:
        """Goes on with a file that a vote has just decided; returns what to send."""
        return self._complete(file, now)

    def _ask_further(self, file: int, now: float) -> list[Frame]:
        """Asks as many further holders to vote as may decide an open file, or deliver one that nobody else delivers.

        Those who are overdue or doubted do not count, neither among those who are still to vote nor among those who are asked.
        """
        ballot, spare = self.ballots[file], self._spare[file]
        if not spare or file in self.undecided or file in self.complete:
            return []
        missing = ballot.majority - ballot.most if ballot.winner is None else 1
        missing -= len(ballot.silent - spare - self._unreliable)
        if missing <= 0:
            return []
        requests = []
        candidates = spare & ballot.silent
        for worker in sorted(candidates, key=lambda one: (one in self._unreliable, self._requested[one], one)):
            if missing <= 0:
                break
            missing -= worker not in self._unreliable
            requests += self._ask(worker, file, now)
        return requests

    def _ask(self, worker: int, file: int, now: float) -> list[Frame]:
        self._spare[file].discard(worker)
        self._requested[worker] += 1
        self._votes.ask(worker, now, anew=file in self._further_files(worker))
        self._blame.ask(worker, "votes")
        return [messages.compute(worker, self.step, file)]

    def _replace_votes_of(self, worker: int, now: float) -> list[Frame]:
        """Asks others for the votes of one who is not to be relied on."""
        self._unreliable.add(worker)
        requests: list[Frame] = []
        for file in self._held_by(worker):
            if self.ballots[file].winner is None:
                requests += self._ask_further(file, now)
        return requests

    def _count_late_votes(self, worker: int, cause: str) -> None:
        self._blame.add(worker, cause)
        self._pace.late(worker)

    def _is_waited_for(self, worker: int) -> bool:
        """Whether a vote that it was asked for is missing of a file that is open."""
        return any(
            self.ballots[file].winner is None
            and file not in self.undecided
            and worker in self.ballots[file].silent
            and worker not in self._spare[file]
            for file in self._held_by(worker)
        )

    def _expect_no_vote_of(self, worker: int, now: float) -> list[Frame]:
        """Stops waiting for the votes of one who is lost or has had its time; returns what to send."""
        for file in self._held_by(worker):
            self.ballots[file].give_up_on(worker)
            self._check_still_open(file)
        return []

    def _held_by(self, worker: int) -> list[int]:
        return [*self._files_of[worker].tolist(), *self._further_files(worker)]

    def _further_files(self, worker: int) -> Sequence[int]:
        """Files that it was asked for and does not hold."""
        return ()

    def _check_still_open(self, file: int) -> None:
        ballot = self.ballots[file]
        if not ballot.silent:
            self._awaited.discard(file)
        if self._detection is None and ballot.winner is None and not ballot.open:
            self._lose(file)

    def _lose(self, file: int) -> None:
        """Gives a file up."""
        self.undecided.add(file)

    def _blame_dissenters(self, ballot: Ballot[bytes]) -> None:
        for dissenter in ballot.dissenters:
            self._blame_dissenter(dissenter)

    def _blame_dissenter(self, worker: int) -> None:
        self._blame.add(worker, "minority")
        self._pace.doubt(worker)

    def _count_if_complete(self, now: float) -> list[Frame]:
        """Decides all files, without the votes of those who are proven Byzantine, once no vote is waited for."""
        if self._detection is None or self._awaited or self._counted:
            return []
        self._counted = True
        self._pace.decided(now - self._began)
        self.discarded, searched = self._detection.judge(self.step, disagreements(self.ballots, self._num_workers))
        if not searched:
            LOG.warning("step %d: the search for cliques was cut short; only the clearest liars are discarded", self.step)
        requests: list[Frame] = []
        for file, ballot in enumerate(self.ballots):
            if ballot.count(self.discarded):
                self._blame_dissenters(ballot)
                requests += self._complete(file, now)
            else:
                self.undecided.add(file)
        return requests
