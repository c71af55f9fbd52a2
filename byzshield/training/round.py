"""One step's votes, and the files among them that the server checks or computes itself."""

from abc import ABC
from collections.abc import Callable, Sequence
from typing import Any
from zlib import crc32

from byzshield.aggregation.matrix import non_finite_rows
from byzshield.arrays import Float32, Float64
from byzshield.choices import Evidence
from byzshield.training.audit import Audit, Conviction, judged
from byzshield.training.lengths import Lengths
from byzshield.training.plain_round import PlainRound
from byzshield.wire import Frame

__all__ = ["Round"]


class Round(PlainRound, ABC):
    """A round that may be audited; without an `audit`, a `PlainRound`.

    With one, a worker that is expelled, lost or given up is replaced, in each file that it holds, by the next worker in
    an order that depends on the step and the file alone, and no file stays undecided: what workers cannot decide, the server
    computes (`work`), which settles the file and convicts whoever voted otherwise. Votes of those who are expelled are void,
    also those of this step, so what they had decided is voted on again. Where files are drawn, a conviction has all of the step
    checked. The round is done when what was drawn is checked, too.

    Args:
        audit: which files the server checks, and what comes of it; for the plain vote alone. None for none.
        recompute: with an audit, computes the gradient vector of a file, float32 [d].
        lengths: are told how long the winners are.
        expelled: workers whose votes do not count from the start.
        arguments: those of a `PlainRound`.
    """

    def __init__(
        self,
        *,
        audit: Audit | None = None,
        recompute: Callable[[int], Float32] | None = None,
        lengths: Sequence[Lengths] = (),
        expelled: frozenset[int] = frozenset(),
        **arguments: Any,
    ) -> None:
        super().__init__(**arguments)
        self.convictions: list[Conviction] = []
        self.audited: set[int] = set()  # files that were drawn, and checked
        self.settled: frozenset[int] = frozenset()  # files that the server has computed
        self.unproven: frozenset[int] = frozenset()  # those of them that it could not compute, so that they are left out
        self.arbitrated: set[int] = set()  # files that the server has computed since workers did not decide them
        self.unpaid: dict[int, dict[int, bytes]] = {}  # votes of those expelled from the start, which do not count, by worker
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
        self._closed = False

    @property
    def done(self) -> bool:
        return super().done and not self._checks and not self._witnesses

    @property
    def busy(self) -> bool:
        """Whether `work` has something to compute."""
        return bool(self._checks)

    def begin(self, now: float) -> list[Frame]:
        absent = self._absent_from_the_start()
        self._absent.update(absent)  # none of whom is asked in the place of another
        requests = [request for worker in absent for request in self._replace_everywhere(worker, now)]
        return requests + super().begin(now)

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
        judgment = judged(lambda: recompute(file), self._layout, ballot.votes, step=self.step, file=file)
        (self.audited if evidence == "audit" else self.arbitrated).add(file)
        ballot.settle(judgment.true)
        self.settled |= {file}
        if not judgment.proven:
            self.unproven |= {file}
        self._look_at_vector(file, judgment.vector)
        requests = self._provide(file, judgment.vector, now)
        self.complete.add(file)
        self.undecided.discard(file)
        self._witnesses.pop(file, None)
        for worker, vote in judgment.others.items():
            requests += self._take_contradiction(worker, file, vote, evidence, now)
        return requests

    def _take_contradiction(self, worker: int, file: int, vote: bytes, evidence: Evidence, now: float) -> list[Frame]:
        """Convicts a worker by a file that the server has settled, unless that proves nothing; returns what to send."""
        if file in self.unproven:
            self._blame_dissenter(worker)
            return []
        return self._convict(worker, file, vote, evidence, now, true=self.ballots[file].winner or b"")

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

    def check(self, file: int) -> None:
        """Has a file checked by the server."""
        self._checks.setdefault(file, "audit")

    def close(self) -> None:
        """Ends the round: a vote that comes later may convict, and voids no other, since its matrix is the next round's."""
        self._closed = True

    def _cast(self, worker: int, file: int, value: bytes, now: float) -> list[Frame]:
        if worker not in self.ballots[file].former:
            return super()._cast(worker, file, value, now)
        if worker in self._expelled:
            self.unpaid.setdefault(worker, {}).setdefault(file, value)
        return []

    def _take_dissent(self, worker: int, file: int, value: bytes, now: float) -> list[Frame]:
        if file in self.settled:
            return self._take_contradiction(worker, file, value, "arbitration", now)
        if worker != self._witnesses.get(file):
            return super()._take_dissent(worker, file, value, now)
        self._checks[file] = "audit"
        return []

    def _take_vote(self, worker: int, file: int) -> list[Frame]:
        ballot = self.ballots[file]
        if ballot.disputed and self._audit is not None and self._audit.arbitrate and ballot.winner is None:
            self._checks.setdefault(file, "arbitration")
        if worker == self._witnesses.get(file):
            del self._witnesses[file]
            self.audited.add(file)
        return super()._take_vote(worker, file)

    def _take_decision(self, file: int, now: float) -> list[Frame]:
        return self._draw(file, now) + super()._take_decision(file, now)

    def _is_waited_for(self, worker: int) -> bool:
        return worker in self._witnesses.values() or super()._is_waited_for(worker)

    def _expect_no_vote_of(self, worker: int, now: float) -> list[Frame]:
        if self._audit is None:
            return super()._expect_no_vote_of(worker, now)
        return self._replace_everywhere(worker, now)

    def _further_files(self, worker: int) -> Sequence[int]:
        return self._standing_in.get(worker, ())

    def _lose(self, file: int) -> None:
        """Gives a file up, or has the server compute it."""
        if self._audit is None:
            super()._lose(file)
        else:
            self._lost.add(file)
            self._checks.setdefault(file, "arbitration")

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
        """The expelled and, unless those are most of all, who was waited for in vain lately and may be dead."""
        if self._audit is None:
            return []
        given_up = set(filter(self._pace.is_given_up, range(self._num_workers)))
        return sorted(self._expelled | (given_up if 2 * len(given_up) < self._num_workers else set()))

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
        if self._audit is None or file in self.settled:
            return []
        distrusted = self._audit.distrusts(self.step, file)
        if not (distrusted or self._alarmed or self._audit.draws(self.step, file)):
            return []
        ballot = self.ballots[file]
        candidates = [one for one in range(self._num_workers) if one not in ballot.voters | ballot.former | self._absent]
        if self._audit.by == "server" or distrusted or not candidates:
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
        return self.expel(worker, now) + self._check_all(now) if self._audit.expel and not self._closed else []

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
