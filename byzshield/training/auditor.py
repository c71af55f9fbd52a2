"""What the server's checks come to from step to step: proofs, known lengths, probations, and files of the step before."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from byzshield.arrays import Float32
from byzshield.training.audit import Audit, Conviction, Convictions, judged
from byzshield.training.blame import Blame
from byzshield.training.lengths import Lengths
from byzshield.training.round import Round
from byzshield.wire import ChunkLayout, Frame

__all__ = ["Auditor"]


@dataclass(kw_only=True)
class _Past:
    """The step before, of which files are checked while the server waits.

    Args:
        step: its number.
        parameters: at which its gradients were computed, float32 [p].
        votes: on each file.
        left: files that have not been checked, in reverse order.
    """

    step: int
    parameters: Float32
    votes: list[dict[int, bytes]]
    left: list[int]

    def state_dict(self) -> dict[str, Any]:
        return {
            "step": self.step,
            "parameters": torch.from_numpy(self.parameters),
            "votes": [{worker: vote.hex() for worker, vote in votes.items()} for votes in self.votes],
            "left": list(self.left),
        }

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> "_Past":
        votes = [{worker: bytes.fromhex(vote) for worker, vote in votes.items()} for votes in state["votes"]]
        return cls(step=state["step"], parameters=state["parameters"].numpy(), votes=votes, left=list(state["left"]))


class Auditor:
    """Follows the rounds of a server, in each of which a `Round` checks files, convicts, and finds who stands in.

    It gives a round what it needs, has it look at what is too long, checks files of the step before while nobody else needs the
    server, and remembers who is convicted. `begin` opens a step and `end` closes it; without an audit both do next to nothing.

    Args:
        audit: which files the server computes itself, and what comes of it; None for none.
        convictions: who is convicted.
        layout: the chunks of a gradient.
        num_files: f.
        num_parameters: p.
        blame: where faults are counted.
    """

    def __init__(
        self,
        audit: Audit | None,
        convictions: Convictions,
        *,
        layout: ChunkLayout,
        num_files: int,
        num_parameters: int,
        blame: Blame,
    ) -> None:
        self.convictions = convictions
        self.checked = Counter[str]()
        self._audit = audit
        self._layout = layout
        self._blame = blame
        self._round: Round | None = None
        self._last_round: Round | None = None
        self._under_way = False
        self._tallied = Counter[str]()  # of the checks of the newest round, those that are in `checked`
        self._past: _Past | None = None
        self._parameters: Float32 | None = None  # of the step under way, if its files may be checked later
        self._proofs: list[Conviction] = []  # from files of the step before
        self._checked_past: list[int] = []  # these files
        self._lengths: list[Lengths] = []
        if audit is not None and audit.looks_at_lengths:
            # Behind the gradient come BatchNorm's statistics, and the loss, which moves nothing.
            parts = (slice(0, num_parameters), slice(num_parameters, layout.size - 1))
            self._lengths = [Lengths(layout, num_files=num_files, columns=columns) for columns in parts]

    @property
    def stands_in(self) -> bool:
        """Whether what nobody else computes is computed by others, or by the server."""
        return self._audit is not None

    @property
    def expelled(self) -> frozenset[int]:
        """Workers whose votes do not count: nobody in a job without audits, even if it goes on with one that had them."""
        return frozenset() if self._audit is None else self.convictions.expelled

    @property
    def gone(self) -> frozenset[int]:
        """Those of them that have nothing to compute any more."""
        return self.expelled & self.convictions.for_good

    def for_round(self, step: int, parameters: Callable[[], Float32]) -> dict[str, Any]:
        """What a `Round` is to be told about audits.

        Args:
            step: the training step.
            parameters: at which its gradients are computed, float32 [p].
        """
        return {
            "audit": self._audit,
            "recompute": lambda file: self._compute(parameters(), step, file),
            "lengths": self._lengths,
            "expelled": self.expelled,
        }

    def begin(self, round_: Round, parameters: Callable[[], Float32]) -> None:
        """Follows a round that begins."""
        self._last_round, self._round, self._under_way = self._round, round_, True
        self._tallied = Counter()
        for lengths in self._lengths:
            lengths.begin()
        if self._audit is not None and self._audit.idle:
            self._parameters = parameters()

    def look(self) -> None:
        """Has the round check what is too long, once all files are there; to be called after each event."""
        round_, audit = self._round, self._audit
        if audit is not None and round_ is not None and round_.done:
            order = partial(audit.shuffled, len(round_.ballots), round_.step)
            for lengths in self._lengths:
                for file in lengths.doubtful(sorted(round_.complete), round_.settled, order):
                    round_.check(file)

    def idle_checks(self, most: int) -> int:
        """How many more files of the step before can be checked in this one, if so many may be in all."""
        if self._past is None:
            return 0
        return min(len(self._past.left), max(0, most - (len(self._past.votes) - len(self._past.left))))

    @property
    def unchecked(self) -> int:
        """Files of the step before that have not been checked, where that is done in idle time."""
        return 0 if self._past is None else len(self._past.left)

    def check_past(self, now: float) -> list[Frame]:
        """Checks a file of the step before; returns what to send.

        Raises:
            ServerFaultError: the server does not compute the same gradient twice.
        """
        audit, past = self._audit, self._past
        assert audit is not None
        assert past is not None
        file = past.left.pop()
        recompute = partial(self._compute, past.parameters, past.step, file)
        judgment = judged(recompute, self._layout, past.votes[file], step=past.step, file=file)
        self._checked_past.append(file)
        frames: list[Frame] = []
        for worker, vote in judgment.others.items() if judgment.proven else ():
            self._blame.add(worker, "audit")
            proof = Conviction(
                step=past.step, file=file, worker=worker, evidence="audit", committed=vote, recomputed=judgment.true
            )
            frames += self._convict(proof, now)
        return frames

    def take_late_proofs(self, now: float) -> list[Frame]:
        """Convicts whom the step before has found out since it was closed; returns what to send."""
        if self._last_round is None:
            return []
        proofs, self._last_round.convictions = self._last_round.convictions, []
        return [request for proof in proofs for request in self._convict(proof, now)]

    def _convict(self, proof: Conviction, now: float) -> list[Frame]:
        """Notes a proof from the step before, and lets others vote in that worker's place from now on; returns what to send."""
        assert self._audit is not None
        if proof.worker in self.convictions.expelled:
            return []
        self._proofs.append(proof)
        if not self._audit.expel:
            return []
        self.convictions.add(proof)
        return self._round.expel(proof.worker, now) if self._round is not None and self._under_way else []

    def take_convictions(self) -> list[Conviction]:
        """Whom the round has convicted since the last call; from the next one on, they are expelled."""
        assert self._audit is not None
        found, self._proofs = self._proofs, []
        if self._round is not None:
            new, self._round.convictions = self._round.convictions, []
            for conviction in new if self._audit.expel else []:
                self.convictions.add(conviction)
            found = found + new
        if found or not self._under_way:
            self._tally()
        if not self._under_way:  # but at the end of a job, which has no step behind it that would take these checks
            self._checked_past = []
            self._tallied = self._checks_seen()
        return found

    def end(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Ends the step, and keeps what may be checked in the next one.

        Returns:
            the files that were checked, and the workers that have served their probation; both ascending.
        """
        assert self._round is not None
        round_, self._under_way = self._round, False
        round_.close()
        audited = tuple(sorted({*round_.audited, *self._checked_past}))
        self._tally()
        self._checked_past = []
        self._tallied = self._checks_seen()
        for lengths in self._lengths:
            lengths.end(sorted(round_.complete))
        if self._parameters is not None:
            assert self._audit is not None
            left = [file for file in self._audit.shuffled(len(round_.ballots), round_.step) if file not in round_.settled]
            votes = [dict(ballot.votes) for ballot in round_.ballots]
            self._past = _Past(step=round_.step, parameters=self._parameters, votes=votes, left=left)
        return audited, self._end_probations(round_)

    def forget(self) -> None:
        """Forgets the newest steps, since training goes back to before them."""
        self._round = self._last_round = self._past = None
        self._under_way = False
        self._checked_past = []

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps of it: of a step that is under way only what has been taken from it."""
        past = None if self._past is None else self._past.state_dict()
        if past is not None:
            past["left"] += reversed(self._checked_past)
        return {
            "convictions": self.convictions.state_dict(),
            "checked": dict(self.checked),
            "known_lengths": [lengths.known for lengths in self._lengths],
            "suspects": [] if self._audit is None else sorted(self._audit.suspects),
            "past": past,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes up what `state_dict` gave, or a part of it: earlier checkpoints have less."""
        if "convictions" in state:
            self.convictions.load_state_dict(state["convictions"])
            self.checked = Counter(state["checked"])
        for lengths, known in zip(self._lengths, state.get("known_lengths", ()), strict=False):
            lengths.known = known
        if self._audit is not None:
            self._audit.suspects.update(state.get("suspects", ()))
        past = state.get("past")
        self._past = None if past is None or self._audit is None or not self._audit.idle else _Past.of(past)

    def _compute(self, parameters: Float32, step: int, file: int) -> Float32:
        assert self._audit is not None
        return self._audit.compute(parameters, step, file)

    def _tally(self) -> None:
        """Counts what has been checked since the last time."""
        seen = self._checks_seen()
        self.checked.update(seen - self._tallied)
        self._tallied = seen

    def _checks_seen(self) -> Counter[str]:
        """How many files have been checked since the newest round began, or since it was closed."""
        drawn, arbitrated = (0, 0) if self._round is None else (len(self._round.audited), len(self._round.arbitrated))
        return Counter(audited=drawn + len(self._checked_past), arbitrated=arbitrated)

    def _end_probations(self, round_: Round) -> tuple[int, ...]:
        """Compares what those on probation have voted in this step with the winners; returns those who are back, ascending."""
        back = []
        for worker in sorted(self.convictions.on_probation):
            votes = {file: vote for file, vote in round_.unpaid.get(worker, {}).items() if file not in round_.unproven}
            winners = {file: round_.ballots[file].winner for file in votes}
            if votes and self.convictions.serve(worker, right=votes == winners):
                back.append(worker)
        return tuple(back)
