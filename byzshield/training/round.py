"""One step's votes: what every exchange has in common."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from math import inf
from zlib import crc32

from byzshield.aggregation.matrix import non_finite_rows
from byzshield.arrays import Float32, Float64
from byzshield.choices import Evidence
from byzshield.errors import FrameError
from byzshield.log import get_logger
from byzshield.placement import Assignment
from byzshield.training.audit import Audit, Conviction, judged
from byzshield.training.blame import Blame
from byzshield.training.lengths import Lengths
from byzshield.training.pace import Pace
from byzshield.training.turns import Turns
from byzshield.training.vote_deadlines import VoteDeadlines
from byzshield.voting import Ballot, Detection, disagreements
from byzshield.wire import ChunkLayout, Frame, messages

__all__ = ["Round"]

LOG = get_logger(__name__)


class Round(ABC):
    """Collects the votes of one step and fills the matrix of winners, without I/O and without a clock.

    A file is complete once its winner stands in the matrix, undecided once that cannot happen any more; the round is done when
    each file is one or the other. Nobody who cannot change a decision is waited for, and nobody for much longer than the others
    need. Who holds a spare copy, which nobody needs if nobody fails, is asked for its vote only if a copy that was asked for
    before is false, late or lost, or its payload does not come; which copies are asked for changes no winner. With a
    `detection`, any vote can change any decision, so the files are decided all at once when no vote is waited for.

    With an `audit`, a worker that is expelled, lost or given up is replaced, in each file that it holds, by the next worker in
    an order that depends on the step and the file alone, and no file stays undecided: what workers cannot decide, the server
    computes (`work`), which settles the file and convicts whoever voted otherwise. Votes of those who are expelled are void,
    also those of this step, so what they had decided is voted on again. Where files are drawn, a conviction has all of the step
    checked.

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
        audit: which files the server checks, and what comes of it; for the plain vote alone. None for none.
        recompute: with an audit, computes the gradient vector of a file, float32 [d].
        lengths: are told how long the winners are.
        expelled: workers whose votes do not count from the start.
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
        audit: Audit | None = None,
        recompute: Callable[[int], Float32] | None = None,
        lengths: Sequence[Lengths] = (),
        expelled: frozenset[int] = frozenset(),
    ) -> None:
        self.step = step
        self.convictions: list[Conviction] = []
        self.audited: set[int] = set()  # files that were drawn, and checked
        self.settled: frozenset[int] = frozenset()  # files that the server has computed
        self.arbitrated: set[int] = set()  # files that the server has computed since workers did not decide them
        self.unpaid: dict[int, dict[int, bytes]] = {}  # votes of those expelled from the start, which do not count, by worker
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
        self._audit = audit
        self._recompute = recompute
        self._lengths = lengths
        self._expelled = expelled
        self._absent: set[int] = set()  # those who stand in for nobody
        self._standing_in: dict[int, list[int]] = {}  # files of workers that stand in for others
        self._checks: dict[int, Evidence] = {}  # files that the server is to compute, in this order
        self._witnesses: dict[int, int] = {}  # further workers that were asked to compute a decided file
        self._alarmed = False  # whether somebody was convicted in this step, so that all its files are checked
        self._lost: set[int] = set()  # files that no worker can decide or deliver any more

    @property
    def done(self) -> bool:
        """Whether every file is complete or undecided, and what was drawn is checked."""
        return len(self.complete) + len(self.undecided) == len(self.ballots) and not self._checks and not self._witnesses

    @property
    def busy(self) -> bool:
        """Whether `work` has something to compute."""
        return bool(self._checks)

    @abstractmethod
    def receive(self, frame: Frame, now: float) -> list[Frame]:
        """Takes a frame of this step from `frame.worker`; returns what to send.

        Raises:
            FrameError: the frame has no place in this round; nothing has changed.
        """

    def begin(self, now: float) -> list[Frame]:
        """Returns what to send behind the parameters: requests to vote in the place of those who are doubted."""
        requests = [request for worker in self._absent_from_the_start() for request in self._replace_everywhere(worker, now)]
        return requests + [request for worker in sorted(self._unreliable) for request in self._replace_votes_of(worker, now)]

    def work(self, now: float) -> list[Frame]:
        """Computes one file that is to be checked; returns what to send.

        Raises:
            ServerFaultError: the server does not compute the same gradient twice.
        """
        file, evidence = next(iter(self._checks.items()))
        del self._checks[file]
        if evidence == "arbitration" and not self._needs_arbitration(file):
            return []  # somebody was convicted since, so the workers can decide it after all
        assert self._recompute is not None
        recompute, ballot = self._recompute, self.ballots[file]
        vector, true, liars = judged(lambda: recompute(file), self._layout, ballot.votes, step=self.step, file=file)
        (self.audited if evidence == "audit" else self.arbitrated).add(file)
        ballot.settle(true)
        self.settled |= {file}
        self._look_at_vector(file, vector)
        requests = self._provide(file, vector, now)
        self.complete.add(file)
        self.undecided.discard(file)
        self._witnesses.pop(file, None)
        for worker, vote in liars.items():
            requests += self._convict(worker, file, vote, evidence, now, true=true)
        return requests

    def _provide(self, file: int, vector: Float32, now: float) -> list[Frame]:
        """Takes a file's vector from the server itself in place of what workers deliver; returns what to send."""
        self._matrix[file] = vector
        return []

    def expel(self, worker: int, now: float) -> list[Frame]:
        """Lets others vote in the place of a worker that was convicted of something else; returns what to send."""
        if worker in self._expelled:
            return []
        self._expelled |= {worker}
        return self._replace_everywhere(worker, now)

    def tick(self, now: float) -> list[Frame]:
        """Acts on deadlines that have passed; returns what to send."""
        requests: list[Frame] = []
        if expired := self._votes.expire(now):
            witnesses = set(self._witnesses.values())
            for worker in [one for one in expired if one in witnesses or self._is_waited_for(one)]:
                self._count_late_votes(worker, "timeout")
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
        if worker in ballot.former:
            if worker in self._expelled:
                self.unpaid.setdefault(worker, {}).setdefault(file, value)
            return []
        if worker in self._spare[file]:
            raise FrameError(f"nobody asked worker {worker} to vote on file {file}")
        needed = ballot.winner is None and file not in self.undecided
        requests: list[Frame] = []
        done = self.done
        decided_now = ballot.cast(worker, value)
        if not done:  # what comes later might come to a job that has ended
            self._blame.agreement.count(worker, ballot.votes)
        if needed and worker not in self._slow and self._votes.late(worker, now):
            self._slow.add(worker)
            self._count_late_votes(worker, "slow")
        self._votes.voted(worker, now)
        if decided_now:
            self._pace.decided(now - self._began)
            self._blame_dissenters(ballot)
        elif ballot.winner is not None and value != ballot.winner:
            if file in self.settled:
                return self._convict(worker, file, value, "arbitration", now, true=ballot.winner)
            if worker == self._witnesses.get(file):
                self._checks[file] = "audit"
            else:
                self._blame_dissenter(worker)
        else:
            self._check_still_open(file)
            if ballot.disputed and self._audit is not None and self._audit.arbitrate and ballot.winner is None:
                self._checks.setdefault(file, "arbitration")
            if ballot.winner is None and (ballot.disputed or not self._unreliable.isdisjoint(ballot.voters)):
                requests += self._ask_further(file, now)
        if worker == self._witnesses.get(file):
            del self._witnesses[file]
            self.audited.add(file)
        if decided_now and file not in self.undecided:
            return self._draw(file, now) + self._complete(file, now)
        return requests + self._count_if_complete(now)

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
        self._votes.ask(worker, now, anew=file in self._standing_in.get(worker, ()))
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
        if not self._pace.is_slow(worker):
            self._pace.spend()
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
        if self._audit is not None:
            return self._replace_everywhere(worker, now)
        for file in self._held_by(worker):
            self.ballots[file].give_up_on(worker)
            self._check_still_open(file)
        return []

    def _held_by(self, worker: int) -> list[int]:
        return [*self._files_of[worker].tolist(), *self._standing_in.get(worker, ())]

    def _replace_everywhere(self, worker: int, now: float) -> list[Frame]:
        """Lets others vote in the place of one who is expelled, lost or given up; what it has voted is void, or would be late."""
        self._absent.add(worker)
        self._votes.drop(worker)
        requests: list[Frame] = []
        for file in self._held_by(worker):
            ballot = self.ballots[file]
            if worker not in ballot.voters or file in self.settled or (worker in ballot.votes and worker not in self._expelled):
                continue
            stand_in = None if self._witnesses.get(file) == worker else self._stand_in(file)
            if ballot.replace(worker, stand_in):
                self.complete.discard(file)
            self._spare[file].discard(worker)
            if stand_in is not None:
                self._spare[file].add(stand_in)
                self._standing_in.setdefault(stand_in, []).append(file)
            if self._witnesses.get(file) == worker:
                del self._witnesses[file]
                self._checks[file] = "audit"
            if ballot.winner is None:
                requests += self._ask_further(file, now)
                self._check_still_open(file)
        return requests

    def _absent_from_the_start(self) -> list[int]:
        """The expelled and, unless those are most of all, who was late lately and may be dead, for whom nobody should wait."""
        if self._audit is None:
            return []
        slow = set(filter(self._pace.is_slow, range(self._num_workers)))
        return sorted(self._expelled | (slow if 2 * len(slow) < self._num_workers else set()))

    def _stand_in(self, file: int) -> int | None:
        """Who votes next on a file; nobody after a second one was late.

        It is the same one whoever was expelled first, so that no winner depends on what came when.
        """
        ballot = self.ballots[file]
        if len(ballot.former - self._expelled) > 1:
            return None
        left = set(range(self._num_workers)) - ballot.voters - ballot.former - self._absent
        # An order at random spreads the files of those who are expelled over all others, wherever these stand.
        order = {one: crc32(f"{self.step} {file} {one}".encode()) for one in left}
        return min(sorted(left), key=lambda one: (self._pace.is_slow(one), order[one]), default=None)

    def _draw(self, file: int, now: float) -> list[Frame]:
        """Has a decided file checked if it is drawn, by the server or by one more worker.

        A file that is decided again, without somebody who was convicted, is drawn anew: who stands in may be an accomplice, and
        can tell that it was not drawn before, or the server would have settled it.
        """
        if self._audit is None or file in self.settled or not (self._alarmed or self._audit.draws(self.step, file)):
            return []
        ballot = self.ballots[file]
        candidates = [one for one in range(self._num_workers) if one not in ballot.voters | ballot.former | self._absent]
        if self._audit.by == "server" or not candidates:
            self._checks[file] = "audit"
            return []
        witness = self._audit.choose(candidates, self.step, file)
        ballot.admit(witness)
        self._witnesses[file] = witness
        self._standing_in.setdefault(witness, []).append(file)
        return self._ask(witness, file, now)

    def _convict(self, worker: int, file: int, vote: bytes, evidence: Evidence, now: float, *, true: bytes = b"") -> list[Frame]:
        """Notes a proof against a worker, and lets others vote in its place from now on; returns what to send."""
        if evidence != "payload":  # which is counted already
            self._blame.add(worker, "audit")
        if worker in self._expelled:
            return []
        self.convictions.append(
            Conviction(step=self.step, file=file, worker=worker, evidence=evidence, committed=vote, recomputed=true)
        )
        assert self._audit is not None
        return self.expel(worker, now) + self._check_all(now) if self._audit.expel else []

    def check(self, file: int) -> None:
        """Has a file checked by the server."""
        self._checks.setdefault(file, "audit")

    def _look_at(self, file: int, chunk: int, values: Float32 | Float64) -> None:
        """Measures a chunk; a NaN or an infinity has its file checked, since one more than the rule bears would end the run."""
        if self._audit is not None and file not in self.settled and non_finite_rows(values[None]):
            self.check(file)
        for lengths in self._lengths:
            lengths.measure(file, chunk, values)

    def _look_at_vector(self, file: int, vector: Float32 | Float64) -> None:
        for chunk in range(self._layout.num_chunks):
            self._look_at(file, chunk, vector[self._layout.slice(chunk)])

    def _check_all(self, now: float) -> list[Frame]:
        """Has every file of the step checked in which somebody was convicted, since accomplices lie at the same time."""
        assert self._audit is not None
        if not self._audit.rate or self._alarmed:
            return []
        self._alarmed = True  # what is decided later is drawn as well
        decided = [file for file, ballot in enumerate(self.ballots) if ballot.winner is not None and file not in self._witnesses]
        return [request for file in decided if file not in self.audited for request in self._draw(file, now)]

    def _needs_arbitration(self, file: int) -> bool:
        """Whether votes differ or are too few for a decision, or nobody is left to deliver what they decided."""
        ballot = self.ballots[file]
        if ballot.winner is not None:
            return file in self._lost and file not in self.complete
        return ballot.disputed or not ballot.open

    def _check_still_open(self, file: int) -> None:
        ballot = self.ballots[file]
        if not ballot.silent:
            self._awaited.discard(file)
        if self._detection is None and ballot.winner is None and not ballot.open:
            self._lose(file)

    def _lose(self, file: int) -> None:
        """Gives a file up, or has the server compute it."""
        if self._audit is None:
            self.undecided.add(file)
        else:
            self._lost.add(file)
            self._checks.setdefault(file, "arbitration")

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
