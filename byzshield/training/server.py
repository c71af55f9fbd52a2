"""The parameter server as a state machine: frames in, frames out."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, replace
from math import inf
from typing import Any

import numpy as np
from numpy.typing import NDArray

from byzshield.aggregation import Aggregate, Pipeline, primitives
from byzshield.aggregation.matrix import move_up, non_finite_rows
from byzshield.arrays import Float32
from byzshield.choices import Exchange, require_choice
from byzshield.errors import CheckpointError, DivergedError, FrameError, LostWorkersError, ParameterError, TooFewRowsError
from byzshield.log import get_logger
from byzshield.placement import Assignment
from byzshield.training.audit import OUTLYING, Audit, Conviction, Convictions, judged
from byzshield.training.blame import Blame
from byzshield.training.decoding import Decoding
from byzshield.training.digest_round import DigestRound
from byzshield.training.full_round import FullRound
from byzshield.training.momentum import ShardMomentum
from byzshield.training.pace import FLOOR, Pace
from byzshield.training.round import Round
from byzshield.training.state import Change, TrainingState
from byzshield.training.turns import turns
from byzshield.training.windowed_aggregate import WindowedAggregate
from byzshield.training.windowed_round import WindowedRound
from byzshield.voting import Ballot, Detection
from byzshield.wire import ArrayEncoder, ChunkLayout, Frame, Kind, Message, Packet, messages

__all__ = ["ParameterServer", "StepOutcome"]

LOG = get_logger(__name__)


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


@dataclass(frozen=True, kw_only=True)
class StepOutcome:
    """What a closed round came to.

    Args:
        step: the training step, from 1.
        applied: whether the aggregate was applied; False if the step was skipped.
        updated: whether the parameters changed, which takes several applied steps if gradients are accumulated.
        gradient_norm: the length of the gradient that changed them, before it was clipped; None without clipping.
        undecided: files without a winner, ascending.
        non_finite: files dropped for a NaN or an infinity, ascending.
        discarded: workers whose votes were discarded, because they are proven Byzantine, ascending.
        loss: the training loss at the parameters before the step, a trimmed mean over the files' winners, so that as many
            corrupted files as the rule tolerates cannot move it out of the range of the others; None if the step was skipped.
        reason: why the step was skipped; empty if it was not.
        audited: files that were drawn and checked, ascending; where it is done while the server waits, those of the step before.
        arbitrated: files that the server computed since workers did not decide them, ascending.
        returned: workers that have served their probation and count again, ascending.
        blamed: what was counted since the step before, by worker and cause.
    """

    step: int
    applied: bool
    updated: bool
    gradient_norm: float | None
    undecided: tuple[int, ...]
    non_finite: tuple[int, ...]
    discarded: tuple[int, ...]
    loss: float | None
    reason: str
    audited: tuple[int, ...]
    arbitrated: tuple[int, ...]
    returned: tuple[int, ...]
    blamed: dict[str, dict[str, int]]


class ParameterServer:
    """Holds the parameters, runs one round a step, and never believes a peer.

    The caller moves bytes and tells the time: `open_round`, then `receive` and `tick` until `round_done`, then `aggregate`
    and `close_round`. Whatever a peer sends, or fails to send, can only make that peer suspect.

    Args:
        state: the parameters, and what moves them.
        pipeline: the robust rule with its non-finite policy; or, for the coded exchange, what decodes.
        assignment: who holds which file; in the coded exchange who sends which combination, K files of one worker each.
        rank_of: for each worker the rank that hosts it.
        layout: the chunks of a gradient; in the coded exchange those of a combination, 2 d values of float64.
        exchange: "digest", "full" or "coded".
        round_timeout: most seconds to wait for votes, and for each payload; less once it is known what is usual.
        encoder: compresses the parameters.
        quorum: least share of the files that must have a winner for a step to be applied, 0 to 1.
        detection: finds proven Byzantine workers, whose votes are discarded; None for the plain vote.
        on_request: whether workers compute the `postponed` copies only when they are asked to; for the plain vote on digests.
        momentum: what the pipeline gets in place of gradients; None for the gradients.
        audit: which files the server computes itself, and what comes of it; None for none.
        convictions: who is convicted; with an audit.
        window: chunks of all winners that are held at a time, where the pipeline `works_by_columns` in the digest exchange and
            there is no momentum; None holds the whole winners.

    Raises:
        ParameterError: another exchange, votes on request where all votes count, an audit where there is no plain vote, or
            windows where they do not work.
    """

    def __init__(
        self,
        *,
        state: TrainingState,
        pipeline: Pipeline | Decoding,
        assignment: Assignment,
        rank_of: list[int],
        layout: ChunkLayout,
        exchange: Exchange,
        round_timeout: float,
        encoder: ArrayEncoder,
        quorum: float,
        detection: Detection | None = None,
        on_request: bool = False,
        momentum: ShardMomentum | None = None,
        audit: Audit | None = None,
        convictions: Convictions | None = None,
        window: int | None = None,
    ) -> None:
        require_choice("exchange", exchange, Exchange)
        if on_request and (exchange != "digest" or detection is not None):
            raise ParameterError("votes can be asked for on request only in the digest exchange, with the plain vote")
        if audit is not None and (exchange == "coded" or detection is not None):
            raise ParameterError("files can be audited only with the plain vote, in the digest or the full exchange")
        self.state = state
        self.step = 0
        self.attempt = 0
        """How often this server has gone back to an earlier step."""
        self.convictions = convictions or Convictions()
        self.checked = Counter[str]()
        """How many files were `audited` and `arbitrated`, also in steps that were undone."""
        self.blame = Blame(assignment.num_workers)
        self.bytes_received = 0
        self.bytes_sent = 0
        self.goodbyes: dict[int, int] = {}
        self.compute_seconds: dict[int, float] = {}  # of the current step by rank, as the ranks say
        self._computed: dict[int, int] = {}  # gradients by rank since the job began, as the ranks say
        self._computed_before: dict[int, int] = {}
        self._pipeline = pipeline
        self._assignment = assignment
        self._rank_of = rank_of
        self._workers_on: dict[int, list[int]] = {}
        for worker, rank in enumerate(rank_of):
            self._workers_on.setdefault(rank, []).append(worker)
        self._layout = layout
        self._round_type: type[Round] = DigestRound if exchange == "digest" else FullRound
        self._on_request = on_request
        self._placed, self._turns = assignment.at(1), turns(assignment.at(1), rank_of, on_request=on_request)
        self._pace = Pace(rank_of=rank_of, replication=assignment.replication, ceiling=round_timeout)
        self._not_before = 0.0
        self.encoder = encoder
        self._quorum = quorum
        self._detection = detection
        self._momentum = momentum
        self._audit = audit
        self._past: _Past | None = None
        self._parameters: Float32 | None = None  # of the step under way, if its files may be checked later
        self._proofs: list[Conviction] = []  # from files of the step before
        self._checked_past: list[int] = []  # these files
        self._looked_at: list[bytes | None] = []  # the winners of the round whose lengths are known
        self._tallied = Counter[str]()  # of the checks of the newest round, those that are in `checked`
        self._lost: set[int] = set()
        self._last_loss: float | None = None
        self._before_skips: dict[str, Any] | None = None
        self._coded = exchange == "coded"
        dtype = np.dtype(np.float64 if self._coded else np.float32)
        self._window = window
        if window is not None:
            by_columns = isinstance(pipeline, Pipeline) and pipeline.works_by_columns
            if exchange != "digest" or momentum is not None or not by_columns:
                raise ParameterError("windows need the digest exchange, a coordinate-wise rule alone, and no momentum")
            self._round_type = WindowedRound
        columns = layout.size if window is None else min(layout.size, window * layout.chunk_elements)
        self._matrix: NDArray[Any] = np.zeros((assignment.num_files, columns), dtype=dtype)
        self._round: Round | None = None
        self._last_round: Round | None = None
        self.accepts = messages.accepted_by_server(layout, itemsize=dtype.itemsize)

    @property
    def ranks(self) -> list[int]:
        """Ranks that host workers, ascending, without the lost ones."""
        return sorted(set(self._workers_on) - self._lost)

    @property
    def round_done(self) -> bool:
        """Whether `close_round` may be called."""
        return self._round is not None and self._round.done

    @property
    def decisions(self) -> int:
        """How often in this step a vote has decided a file, or all files at once; it grows, and need not be their number."""
        return self._pace.decisions

    @property
    def gradients(self) -> int:
        """How many all ranks have computed in this step, or told late of the step before; no rank more than there are files."""
        told = (count - self._computed_before.get(rank, 0) for rank, count in self._computed.items())
        return sum(min(count, self._assignment.num_files) for count in told)

    def open_round(self, now: float) -> list[Message]:
        """Starts the next step; returns the parameters for every rank, and requests to follow them."""
        self._last_round = self._round
        self._pace.begin_step()
        self.compute_seconds = {}
        self._computed_before = dict(self._computed)
        self._tallied = Counter()
        self._looked_at = []
        expelled = self.convictions.expelled
        assignment = self._assignment.at(self.step + 1)
        if assignment is not self._placed:
            self._placed, self._turns = assignment, turns(assignment, self._rank_of, on_request=self._on_request)
        self._round = self._round_type(
            step=self.step + 1,
            assignment=assignment,
            layout=self._layout,
            matrix=self._matrix,
            blame=self.blame,
            pace=self._pace,
            turns=self._turns,
            now=now,
            detection=self._detection,
            audit=self._audit,
            recompute=self._recompute,
            expelled=expelled,
            **self._windowed(),
        )
        for rank in self.ranks:
            for worker in self._workers_on[rank]:
                if worker not in expelled:
                    self.blame.ask(worker, "steps")
                    self.blame.ask(worker, "votes", self._turns.votes[worker])
        if self._audit is not None and self._audit.idle:
            self._parameters = self.state.model.parameter_vector()
        # Encoded below, before they change: with a copy of their own, the server would hold them three times.
        news = messages.parameters(self._round.step, self.state.model.parameters_in_place(), self.encoder)
        outgoing = self._to_every_rank(news)
        for rank in sorted(self._lost):
            outgoing += self._give_up_on(rank, now)
        return outgoing + self._addressed(self._round.begin(now))

    def receive(self, packet: Packet, now: float) -> list[Message]:
        """Takes a message from a rank; returns what to send. Never raises for what a peer has sent."""
        self.bytes_received += packet.num_bytes
        suspects = self._workers_on.get(packet.source, [])
        try:
            frame = self.accepts.open(packet)
            if frame.worker >= len(self._rank_of) or self._rank_of[frame.worker] != packet.source:
                raise FrameError(f"rank {packet.source} sent it for worker {frame.worker}, which is on another rank")
            suspects = [frame.worker]
            outgoing = self._dispatch(frame, packet.source, now)
            self._look_at_lengths()
            if self._round is not None and (frame.step, frame.attempt) == (self._round.step, self.attempt):
                claimed = self.compute_seconds.get(packet.source, 0.0)
                self.compute_seconds[packet.source] = max(claimed, frame.compute_us / 1e6)
            self._computed[packet.source] = max(self._computed.get(packet.source, 0), frame.gradients)
            return outgoing
        except FrameError as error:
            for worker in suspects:
                self.blame.add(worker, "malformed", detail=str(error))
            return []

    @property
    def busy(self) -> bool:
        """Whether `work` has something to compute."""
        return self._round is not None and self._round.busy

    def work(self, now: float) -> list[Message]:
        """Computes one file that is to be checked; returns what to send.

        Raises:
            ServerFaultError: the server does not compute the same gradient twice.
        """
        assert self._round is not None
        outgoing = self._addressed(self._round.work(now))
        self._look_at_lengths()
        return outgoing

    @property
    def idle_checks(self) -> int:
        """How many more files of the step before can be checked in this one, without the workers being done earlier."""
        if self._past is None:
            return 0
        most = max(self._turns.work.values(), default=0)
        return min(len(self._past.left), max(0, most - (len(self._past.votes) - len(self._past.left))))

    def _checks_seen(self) -> Counter[str]:
        """How many files have been checked since the newest round began, or since it was closed."""
        assert self._round is not None
        return Counter(audited=len(self._round.audited) + len(self._checked_past), arbitrated=len(self._round.arbitrated))

    @property
    def unchecked(self) -> int:
        """Files of the step before that have not been checked, where that is done in idle time."""
        return 0 if self._past is None else len(self._past.left)

    def check_past(self, now: float) -> list[Message]:
        """Checks a file of the step before; returns what to send.

        Raises:
            ServerFaultError: the server does not compute the same gradient twice.
        """
        audit, past = self._audit, self._past
        assert audit is not None
        assert past is not None
        file = past.left.pop()
        _, true, liars = judged(
            lambda: audit.compute(past.parameters, past.step, file), self._layout, past.votes[file], step=past.step, file=file
        )
        self._checked_past.append(file)
        frames: list[Frame] = []
        for worker, vote in liars.items():
            self.blame.add(worker, "audit")
            if worker in self.convictions.expelled:
                continue
            proof = Conviction(step=past.step, file=file, worker=worker, evidence="audit", committed=vote, recomputed=true)
            self._proofs.append(proof)
            if audit.expel:
                self.convictions.add(proof)
                if self._round is not None and self._round.step > self.step:
                    frames += self._round.expel(worker, now)
        return self._addressed(frames)

    def take_convictions(self) -> list[Conviction]:
        """Whom the round has convicted since the last call; from the next one on, they are expelled."""
        assert self._round is not None
        assert self._audit is not None
        new, self._round.convictions = self._round.convictions, []
        for conviction in new if self._audit.expel else []:
            self.convictions.add(conviction)
        seen = self._checks_seen()
        self.checked.update(seen - self._tallied)
        self._tallied = seen
        found, self._proofs = self._proofs + new, []
        return found

    def tick(self, now: float) -> list[Message]:
        """Acts on deadlines; returns what to send."""
        deadline = self.next_deadline()
        if deadline is None or now < deadline:
            return []
        if now > deadline + FLOOR:
            # It was the server that could not look: what came in time has still to be read.
            self._not_before = now + FLOOR
            return []
        assert self._round is not None
        outgoing = self._addressed(self._round.tick(now))
        self._look_at_lengths()
        return outgoing

    def next_deadline(self) -> float | None:
        """When `tick` has something to do next; None if never."""
        deadline = inf if self._round is None else self._round.next_deadline()
        return None if deadline == inf else max(deadline, self._not_before)

    def num_workers_on(self, rank: int) -> int:
        """Workers that `rank` hosts."""
        return len(self._workers_on[rank])

    def most_in_a_step(self, rank: int) -> tuple[int, int]:
        """The most messages that an honest rank sends in one step, and their bytes."""
        files = self._assignment.load * len(self._workers_on[rank])
        if self._audit is not None:
            files += self._assignment.num_files  # which it may compute in the place of others
        vote, chunks = self.accepts.message_bytes[Kind.DIGESTS], self._layout.num_chunks
        return files * (1 + chunks), files * (vote + chunks * self.accepts.message_bytes[Kind.GRADIENT])

    def lose(self, rank: int, now: float, reason: str = "its process is dead") -> list[Message]:
        """Goes on for good without a rank that is dead or was cut off; returns what to send."""
        if rank in self._lost:
            return []
        self._lost.add(rank)
        for worker in self._workers_on.get(rank, []):
            self.blame.add(worker, "lost", detail=f"is lost with rank {rank}: {reason}")
        return self._give_up_on(rank, now)

    def leave_out(self, files: Collection[int]) -> None:
        """Makes files of the finished round undecided."""
        assert self._round is not None
        self._round.complete.difference_update(files)
        self._round.undecided.update(files)

    def aggregate(self) -> Aggregate:
        """Combines the winners of the finished round.

        Raises:
            LostWorkersError: too many workers are dead for this step or any later one.
            DivergedError: more gradients are not finite than can be false, or their combination is not.
        """
        assert self._round is not None
        if self._lost:
            self._require_survivors()
        files = sorted(self._round.complete)
        if reason := self._quorum_missed(len(files)):
            return Aggregate(vector=None, non_finite=(), reason=reason)
        aggregate = self._round.result() if isinstance(self._round, WindowedRound) else self._combined(files, self._round.step)
        if len(aggregate.non_finite) > self._pipeline.num_corrupted:
            raise self._diverged(
                f"{len(aggregate.non_finite)} of {len(files)} files have a gradient that is not finite, and at most "
                f"{self._pipeline.num_corrupted} can be false"
            )
        if aggregate.vector is not None and non_finite_rows(aggregate.vector[None]):
            raise self._diverged("the combined gradient is not finite")
        return aggregate

    def _combined(self, files: list[int], step: int) -> Aggregate:
        rows = move_up(self._matrix, files)
        if self._coded:
            rows = rows.view(np.complex128)
        p = self.state.model.num_parameters
        if self._momentum is not None:
            self._momentum.blend(rows[:, :p], files)
        gradients, statistics = rows[:, :p], rows[:, p:]
        if isinstance(self._pipeline, Decoding):
            return self._pipeline(gradients, statistics=statistics, numbers=files, step=step)
        # Momenta are kept after the step.
        return self._pipeline(gradients, statistics=statistics, numbers=files, step=step, in_place=self._momentum is None)

    def _windowed(self) -> dict[str, Any]:
        """What a round needs that combines the winners itself."""
        if self._window is None:
            return {}
        assert isinstance(self._pipeline, Pipeline)
        aggregate = WindowedAggregate(
            self._pipeline,
            layout=self._layout,
            num_files=self._assignment.num_files,
            num_parameters=self.state.model.num_parameters,
            chunks=self._window,
            step=self.step + 1,
        )
        return {"aggregate": aggregate}

    def close_round(self, aggregate: Aggregate) -> StepOutcome:
        """Applies an aggregate of the finished round, and counts the step.

        Raises:
            DivergedError: the update has made parameters infinite, so that there is nothing to go on with.
        """
        assert self._round is not None
        files = sorted(self._round.complete)
        non_finite = tuple(files[row] for row in aggregate.non_finite)
        for file in non_finite:
            for worker in self._round.ballots[file].supporters:
                self.blame.add(worker, "non_finite")
        rejected = tuple(files[row] for row in aggregate.rejected)
        for worker in rejected:
            self.blame.add(worker, "minority")
        change = Change(updated=False)
        if aggregate.vector is not None:
            assert aggregate.statistics is not None
            learning_rate = self.state.learning_rate
            change = self.state.apply(aggregate.vector, aggregate.statistics)
            if not self.state.finite:
                raise self._diverged("the update has made parameters infinite", learning_rate=learning_rate)
            if self._momentum is not None:
                self._momentum.keep(dropped=aggregate.non_finite)
            self._last_loss = float(aggregate.statistics[-1])
            self._before_skips = None
        else:
            if self._before_skips is None:
                self._before_skips = self.state_dict()
            LOG.warning("step %d is skipped: %s", self._round.step, aggregate.reason)
            self.state.skip()
        self.step = self._round.step
        audited = tuple(sorted({*self._round.audited, *self._checked_past}))
        self._end_audits()
        return StepOutcome(
            step=self.step,
            applied=aggregate.vector is not None,
            updated=change.updated,
            gradient_norm=change.gradient_norm,
            undecided=tuple(sorted(self._round.undecided)),
            non_finite=non_finite,
            discarded=tuple(sorted({*self._round.discarded, *rejected})),
            loss=None if aggregate.statistics is None else float(aggregate.statistics[-1]),
            reason=aggregate.reason,
            audited=audited,
            arbitrated=tuple(sorted(self._round.arbitrated)),
            returned=self._end_probations(),
            blamed=self.blame.take_new(self.step),
        )

    def stop(self) -> list[Message]:
        """Ends training; returns the news for every rank."""
        return self._to_every_rank(messages.stop())

    def go_back(self, state: dict[str, Any], fresh: TrainingState) -> None:
        """Goes back to an earlier step; what is known of the workers stays, and what they still send of later steps is dropped.

        Args:
            state: `state_dict` of that step.
            fresh: a state of this model from before the first step, since no optimizer can be wound back.

        Raises:
            CheckpointError: the state belongs to another model or optimizer.
        """
        kept = self.state_dict()
        self.state = fresh
        self.load_state_dict({**state, **{key: kept[key] for key in ("blame", "pace", "convictions", "checked")}})
        self._round = self._last_round = self._before_skips = self._past = None
        self._checked_past = []
        self.attempt += 1

    @property
    def settled(self) -> frozenset[int]:
        """The files that the server has computed itself in the newest round."""
        return frozenset() if self._round is None else self._round.settled

    @property
    def ballots(self) -> list[Ballot[bytes]]:
        """The votes on each file in the newest round."""
        return [] if self._round is None else self._round.ballots

    def begin_behind(self, step: int) -> None:
        """Counts `step` steps as taken; to be called before the first round, with the weights of that step in the model."""
        self.state.begin_behind(step)
        self.step = step

    def state_dict(self) -> dict[str, Any]:
        """All that `load_state_dict` needs to go on as if nothing had happened."""
        return {
            "step": self.step,
            **self.state.state_dict(),
            "rule": self._pipeline.state_dict(),
            "momentum": None if self._momentum is None else self._momentum.state_dict(),
            "blame": self.blame.state_dict(),
            "pace": self._pace.state_dict(),
            "detection": None if self._detection is None else self._detection.state_dict(),
            "convictions": self.convictions.state_dict(),
            "checked": dict(self.checked),
            "attempt": self.attempt,
        }

    def state_before_skips(self) -> dict[str, Any]:
        """The `state_dict` after the last step that was applied, from where to do again what was skipped since."""
        state = self.state_dict()
        return {**(self._before_skips or state), "blame": state["blame"], "pace": state["pace"]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores what `state_dict` returned.

        Raises:
            CheckpointError: it belongs to another model or optimizer.
        """
        try:
            self.state.load_state_dict(state)
            self._pipeline.load_state_dict(state["rule"])
            if self._momentum is not None:
                self._momentum.load_state_dict(state["momentum"])
            self.blame.load_state_dict(state["blame"])
            if "pace" in state:  # not in earlier checkpoints
                self._pace.load_state_dict(state["pace"])
            if self._detection is not None:
                self._detection.load_state_dict(state["detection"])
            if "convictions" in state:  # not in earlier checkpoints
                self.convictions.load_state_dict(state["convictions"])
                self.checked = Counter(state["checked"])
            self.step = int(state["step"])
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise CheckpointError(f"the checkpoint does not fit this run: {error}") from error

    def _dispatch(self, frame: Frame, source: int, now: float) -> list[Message]:
        if frame.kind is Kind.GOODBYE:
            self.goodbyes[source] = messages.read_goodbye(frame)
            return []
        if frame.attempt != self.attempt:
            if frame.attempt > self.attempt:
                raise FrameError(f"attempt {frame.attempt} has not begun")
            return []  # of a step that was undone
        for round_ in (self._round, self._last_round):
            if round_ is not None and frame.step == round_.step:
                return self._addressed(round_.receive(frame, now))
        if self._round is None or frame.step > self._round.step:
            raise FrameError(f"step {frame.step} has not begun")
        return []  # too late to matter: an old vote, or the greeting of a rank that started late

    def _end_audits(self) -> None:
        """Keeps what may be checked in the next step."""
        self._checked_past = []
        self._tallied = self._checks_seen()
        if self._parameters is not None:
            assert self._audit is not None
            assert self._round is not None
            left = [file for file in self._audit.shuffled(len(self._round.ballots), self.step) if file not in self._round.settled]
            votes = [dict(ballot.votes) for ballot in self._round.ballots]
            self._past = _Past(step=self.step, parameters=self._parameters, votes=votes, left=left)

    def _look_at_lengths(self) -> None:
        """Once all files are complete, has those checked that are far longer than the others; not by windows of columns."""
        round_ = self._round
        if round_ is None or self._audit is None or not self._audit.looks_at_lengths or self._window is not None:
            return
        if not round_.done or not (files := sorted(round_.complete)):
            return
        winners = [round_.ballots[file].winner for file in files]
        if winners == self._looked_at:
            return
        self._looked_at = winners
        lengths = primitives.norms(self._matrix[:, : self.state.model.num_parameters])[files]
        for file, length in zip(files, lengths.tolist(), strict=True):
            if length > OUTLYING * float(np.median(lengths)) and file not in round_.settled:
                round_.check(file)

    def _recompute(self, file: int) -> Float32:
        assert self._audit is not None
        assert self._round is not None
        return self._audit.compute(self.state.model.parameter_vector(), self._round.step, file)

    def _end_probations(self) -> tuple[int, ...]:
        """Compares what those on probation have voted in this step with the winners; returns those who are back, ascending."""
        assert self._round is not None
        back = []
        for worker in sorted(self.convictions.on_probation):
            votes = self._round.unpaid.get(worker, {})
            winners = {file: self._round.ballots[file].winner for file in votes}
            if votes and self.convictions.serve(worker, right=votes == winners):
                back.append(worker)
        return tuple(back)

    def _require_survivors(self) -> None:
        """Raises if the files that the surviving workers can still decide do not suffice for a step, since nobody comes back."""
        alive = [rank not in self._lost for rank in self._rank_of]
        if self._audit is not None and any(alive):
            return  # they compute, or the server does, what the others cannot
        holders = np.array(alive)[self._assignment.workers_of].sum(axis=1)
        files = np.flatnonzero(holders >= self._assignment.majority).tolist()
        decidable = len(files)
        reason = self._quorum_missed(decidable)
        if not reason:
            try:
                self._pipeline.check_rows(decidable, numbers=files)
                return
            except TooFewRowsError as error:
                reason = str(error)
        raise LostWorkersError(
            f"only {sum(alive)} of {len(alive)} workers are left, who can decide {decidable} of the {len(holders)} files "
            f"({reason}); start the job again with --resume, on hosts that work"
        )

    def _diverged(self, why: str, *, learning_rate: float | None = None) -> DivergedError:
        assert self._round is not None
        loss = "" if self._last_loss is None else f"last loss {self._last_loss:.4g}, "
        rate = self.state.learning_rate if learning_rate is None else learning_rate
        return DivergedError(
            f"the model diverged at step {self._round.step} ({loss}learning rate {rate:g}): {why}; no worker is blamed for it, "
            "use a lower optimizer.lr, with --resume or afresh"
        )

    def _quorum_missed(self, num_files: int) -> str:
        if num_files < self._quorum * self._assignment.num_files:
            return f"{num_files} of {self._assignment.num_files} files were decided; the quorum is {self._quorum:g} of them"
        return ""

    def _give_up_on(self, rank: int, now: float) -> list[Message]:
        workers = self._workers_on.get(rank, [])
        return [] if self._round is None else self._addressed(self._round.give_up_on(workers, now))

    def _addressed(self, frames: list[Frame]) -> list[Message]:
        return self._counted([replace(frame, attempt=self.attempt).to(self._rank_of[frame.worker]) for frame in frames])

    def _to_every_rank(self, frame: Frame) -> list[Message]:
        frame = replace(frame, attempt=self.attempt)
        return self._counted([frame.to(rank) for rank in self.ranks])

    def _counted(self, outgoing: list[Message]) -> list[Message]:
        self.bytes_sent += sum(len(message.data) for message in outgoing)
        return outgoing
