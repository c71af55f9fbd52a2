"""The parameter server as a state machine: frames in, frames out."""

from collections import Counter
from collections.abc import Collection
from dataclasses import replace
from math import inf
from typing import Any

from byzshield.aggregation import Aggregate, Pipeline
from byzshield.choices import Exchange, require_choice
from byzshield.errors import CheckpointError, FrameError, ParameterError
from byzshield.log import get_logger
from byzshield.placement import Assignment
from byzshield.training.audit import Audit, Conviction, Convictions
from byzshield.training.auditor import Auditor
from byzshield.training.blame import Blame
from byzshield.training.combiner import Combiner
from byzshield.training.decoding import Decoding
from byzshield.training.momentum import ShardMomentum
from byzshield.training.outcome import StepOutcome, non_finite_files, outcome_of, rejected_workers
from byzshield.training.pace import FLOOR, Pace
from byzshield.training.round import Round
from byzshield.training.state import Change, TrainingState
from byzshield.training.turns import turns
from byzshield.voting import Ballot, Detection
from byzshield.wire import ArrayEncoder, ChunkLayout, Frame, Kind, Message, Packet, messages

__all__ = ["ParameterServer", "StepOutcome"]

LOG = get_logger(__name__)


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
        self.blame = Blame(assignment.num_workers)
        self.bytes_received = 0
        self.bytes_sent = 0
        self.goodbyes: dict[int, int] = {}
        self.compute_seconds: dict[int, float] = {}  # of the current step by rank, as the ranks say
        self._computed: dict[int, int] = {}  # gradients by rank since the job began, as the ranks say
        self._computed_before: dict[int, int] = {}
        self._assignment = assignment
        self._rank_of = rank_of
        self._workers_on: dict[int, list[int]] = {}
        for worker, rank in enumerate(rank_of):
            self._workers_on.setdefault(rank, []).append(worker)
        self._layout = layout
        self._on_request = on_request
        self._placed, self._turns = assignment.at(1), turns(assignment.at(1), rank_of, on_request=on_request)
        self._pace = Pace(rank_of=rank_of, replication=assignment.replication, ceiling=round_timeout)
        self._not_before = 0.0
        self.encoder = encoder
        self._detection = detection
        self._auditor = Auditor(
            audit,
            convictions or Convictions(),
            layout=layout,
            num_files=assignment.num_files,
            num_parameters=state.model.num_parameters,
            blame=self.blame,
        )
        self._lost: set[int] = set()
        self._before_skips: dict[str, Any] | None = None
        self._before_round: dict[str, Any] | None = None
        self._combiner = Combiner(
            pipeline,
            assignment=assignment,
            layout=layout,
            num_parameters=state.model.num_parameters,
            exchange=exchange,
            quorum=quorum,
            momentum=momentum,
            window=window,
        )
        self._round: Round | None = None
        self._last_round: Round | None = None
        self.accepts = messages.accepted_by_server(layout, itemsize=self._combiner.matrix.itemsize)

    @property
    def convictions(self) -> Convictions:
        """Who is convicted."""
        return self._auditor.convictions

    @property
    def checked(self) -> Counter[str]:
        """How many files were `audited` and `arbitrated`, also in steps that were undone."""
        return self._auditor.checked

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
        """Starts the next step; returns the parameters for every rank that has to compute, and requests to follow them."""
        self._last_round = self._round
        self._before_round = self._counted_so_far()
        self._pace.begin_step()
        self.compute_seconds = {}
        self._computed_before = dict(self._computed)
        assignment = self._assignment.at(self.step + 1)
        if assignment is not self._placed:
            self._placed, self._turns = assignment, turns(assignment, self._rank_of, on_request=self._on_request)
        self._round = self._combiner.round_type(
            step=self.step + 1,
            assignment=assignment,
            layout=self._layout,
            blame=self.blame,
            pace=self._pace,
            turns=self._turns,
            now=now,
            detection=self._detection,
            **self._combiner.for_round(self.step + 1),
            **self._auditor.for_round(self.step + 1, self.state.model.parameter_vector),
        )
        self._auditor.begin(self._round, self.state.model.parameter_vector)
        for rank in self.ranks:
            for worker in self._workers_on[rank]:
                if worker not in self._auditor.expelled:
                    self.blame.ask(worker, "steps")
                    self.blame.ask(worker, "votes", self._turns.votes[worker])
        # Encoded below, before they change: with a copy of their own, the server would hold them three times.
        news = messages.parameters(self._round.step, self.state.model.parameters_in_place(), self.encoder)
        gone = self._auditor.gone
        # Also the ranks that get no parameters any more are to hear of the server.
        outgoing = self._to_every_rank(messages.expelled(gone)) if gone else []
        outgoing += self._to_every_rank(news, but=[rank for rank in self.ranks if gone.issuperset(self._workers_on[rank])])
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
            self._take_claims(frame, packet.source)
            return outgoing
        except FrameError as error:
            for worker in suspects:
                self.blame.add(worker, "malformed", detail=str(error))
            return []

    def _take_claims(self, frame: Frame, source: int) -> None:
        """Notes how long a rank has computed in this step, and how much in all, as it says; the most that it has said counts."""
        if self._round is not None and frame.step == self._round.step and frame.attempt == self.attempt:
            seconds = frame.compute_us / 1e6
            if seconds > self.compute_seconds.get(source, -1.0):
                self.compute_seconds[source] = seconds
        if frame.gradients > self._computed.get(source, -1):
            self._computed[source] = frame.gradients

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
        return self._reacting(self._round.work(now))

    @property
    def idle_checks(self) -> int:
        """How many more files of the step before can be checked in this one, without the workers being done earlier."""
        return self._auditor.idle_checks(max(self._turns.work.values(), default=0))

    @property
    def unchecked(self) -> int:
        """Files of the step before that have not been checked, where that is done in idle time."""
        return self._auditor.unchecked

    def check_past(self, now: float) -> list[Message]:
        """Checks a file of the step before; returns what to send.

        Raises:
            ServerFaultError: the server does not compute the same gradient twice.
        """
        return self._addressed(self._auditor.check_past(now))

    def take_convictions(self) -> list[Conviction]:
        """Whom the round has convicted since the last call; from the next one on, they are expelled."""
        return self._auditor.take_convictions()

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
        return self._reacting(self._round.tick(now))

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
        if self._auditor.stands_in:
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
        alive = [rank not in self._lost for rank in self._rank_of]
        # With audits they compute, or the server does, what the others cannot.
        if not all(alive) and not (self._auditor.stands_in and any(alive)):
            self._combiner.require_survivors(alive)
        return self._combiner.combine(self._round, learning_rate=self.state.learning_rate)

    def close_round(self, aggregate: Aggregate) -> StepOutcome:
        """Applies an aggregate of the finished round, and counts the step.

        Raises:
            DivergedError: the update has made parameters infinite, so that there is nothing to go on with.
        """
        assert self._round is not None
        for file in non_finite_files(self._round, aggregate):
            for worker in self._round.ballots[file].supporters:
                self.blame.add(worker, "non_finite")
        for worker in rejected_workers(self._round, aggregate):
            self.blame.add(worker, "minority")
        change = Change(updated=False)
        if aggregate.vector is not None:
            assert aggregate.statistics is not None
            learning_rate = self.state.learning_rate
            change = self.state.apply(aggregate.vector, aggregate.statistics)
            if not self.state.finite:
                raise self._combiner.diverged(self._round.step, "the update has made parameters infinite", learning_rate)
            self._combiner.keep(aggregate)
            self._before_skips = None
        else:
            if self._before_skips is None:
                self._before_skips = self.state_dict()
            LOG.warning("step %d is skipped: %s", self._round.step, aggregate.reason)
            self.state.skip()
        self.step, self._before_round = self._round.step, None
        audited, returned = self._auditor.end()
        return outcome_of(
            self._round, aggregate, change, audited=audited, returned=returned, blamed=self.blame.take_new(self.step)
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
        self._round = self._last_round = self._before_skips = self._before_round = None
        self._auditor.forget()
        kept = self.state_dict()
        self.state = fresh
        self.load_state_dict({**state, **{key: kept[key] for key in ("blame", "pace", "convictions", "checked")}})
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
        """All that `load_state_dict` needs to go on as if nothing had happened; nothing of a round that is under way."""
        counted = self._before_round or self._counted_so_far()
        return {
            "step": self.step,
            **self.state.state_dict(),
            **self._combiner.state_dict(),
            "blame": counted["blame"].state_dict(),
            "pace": counted["pace"],
            "detection": None if self._detection is None else self._detection.state_dict(),
            **self._auditor.state_dict(),
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
            self._combiner.load_state_dict(state)
            self.blame.load_state_dict(state["blame"])
            if "pace" in state:  # not in earlier checkpoints
                self._pace.load_state_dict(state["pace"])
            if self._detection is not None:
                self._detection.load_state_dict(state["detection"])
            self._auditor.load_state_dict(state)
            self.step = int(state["step"])
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise CheckpointError(f"the checkpoint does not fit this run: {error}") from error

    def _counted_so_far(self) -> dict[str, Any]:
        """A copy of what rounds change before they are closed, but for what the `Auditor` and the `Combiner` hold."""
        return {"blame": self.blame.copy(), "pace": self._pace.state_dict()}

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
                return self._reacting(round_.receive(frame, now) + self._auditor.take_late_proofs(now))
        if self._round is None or frame.step > self._round.step:
            raise FrameError(f"step {frame.step} has not begun")
        return []  # too late to matter: an old vote, or the greeting of a rank that started late

    def _reacting(self, frames: list[Frame]) -> list[Message]:
        """What the round sends on an event, after which all of its files may be there, and some of them too long."""
        self._auditor.look()
        return self._addressed(frames)

    def _give_up_on(self, rank: int, now: float) -> list[Message]:
        workers = self._workers_on.get(rank, [])
        return [] if self._round is None else self._reacting(self._round.give_up_on(workers, now))

    def _addressed(self, frames: list[Frame]) -> list[Message]:
        if not frames:
            return []
        return self._counted([frame.telling(self._rank_of[frame.worker], attempt=self.attempt) for frame in frames])

    def _to_every_rank(self, frame: Frame, *, but: Collection[int] = ()) -> list[Message]:
        return self._counted(replace(frame, attempt=self.attempt).to_all(rank for rank in self.ranks if rank not in but))

    def _counted(self, outgoing: list[Message]) -> list[Message]:
        self.bytes_sent += sum(len(message.data) for message in outgoing)
        return outgoing
