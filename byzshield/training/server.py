"""The parameter server as a state machine: frames in, frames out."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from byzshield.aggregation import Aggregate, Pipeline
from byzshield.errors import CheckpointError, FrameError, LostWorkersError, TooFewRowsError
from byzshield.log import get_logger
from byzshield.models import FlatModel
from byzshield.placement import Assignment
from byzshield.training.blame import Blame
from byzshield.training.digest_round import DigestRound
from byzshield.training.full_round import FullRound
from byzshield.training.round import Round
from byzshield.transport import Packet
from byzshield.wire import HEADER_BYTES, ArrayEncoder, ChunkLayout, Frame, Kind, messages

__all__ = ["Exchange", "ParameterServer", "StepOutcome"]

Exchange = Literal["digest", "full"]
Outgoing = tuple[int, Frame]
LOG = get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class StepOutcome:
    """What a closed round came to.

    Args:
        step: the training step, from 1.
        applied: whether the parameters changed.
        undecided: files without a winner, ascending.
        non_finite: files dropped for a NaN or an infinity, ascending.
        reason: why the step was skipped; empty if it was not.
    """

    step: int
    applied: bool
    undecided: tuple[int, ...]
    non_finite: tuple[int, ...]
    reason: str


class ParameterServer:
    """Holds the parameters, runs one round a step, and never believes a peer.

    The caller moves bytes and tells the time: `open_round`, then `receive` and `tick` until `round_done`, then `aggregate`
    and `close_round`. Whatever a peer sends, or fails to send, can only make that peer suspect.

    Args:
        model: the network; this object's copy is the one that counts.
        optimizer: over the single flat parameter made by `flat_parameter`.
        scheduler: steps once per applied step; None for a constant learning rate.
        pipeline: the robust rule with its non-finite policy.
        assignment: who holds which file.
        rank_of: for each worker the rank that hosts it.
        layout: the chunks of a gradient.
        exchange: "digest" or "full".
        round_timeout: seconds to wait for votes, and for each payload.
        encoder: compresses the parameters.
        quorum: least share of the files that must have a winner for a step to be applied, 0 to 1.
    """

    def __init__(
        self,
        *,
        model: FlatModel,
        optimizer: Optimizer,
        scheduler: LRScheduler | None,
        pipeline: Pipeline,
        assignment: Assignment,
        rank_of: list[int],
        layout: ChunkLayout,
        exchange: Exchange = "digest",
        round_timeout: float = 60.0,
        encoder: ArrayEncoder,
        quorum: float = 0.0,
    ) -> None:
        self.model = model
        self.step = 0
        self.blame = Blame(assignment.num_workers)
        self.bytes_received = 0
        self.bytes_sent = 0
        self.goodbyes: dict[int, int] = {}
        self._optimizer = optimizer
        self._scheduler = scheduler
        self._pipeline = pipeline
        self._assignment = assignment
        self._rank_of = rank_of
        self._workers_on: dict[int, list[int]] = {}
        for worker, rank in enumerate(rank_of):
            self._workers_on.setdefault(rank, []).append(worker)
        self._layout = layout
        self._round_type: type[Round] = DigestRound if exchange == "digest" else FullRound
        self._timeout = round_timeout
        self._encoder = encoder
        self._quorum = quorum
        self._lost: set[int] = set()
        self._matrix = np.zeros((assignment.num_files, layout.size), dtype=np.float32)
        self._round: Round | None = None
        self._last_round: Round | None = None
        self._accepted = messages.accepted_by_server(layout)
        self.bounds = {kind: HEADER_BYTES + bound for kind, bound in self._accepted.items()}

    @property
    def ranks(self) -> list[int]:
        """Ranks that host workers, ascending, without the lost ones."""
        return sorted(set(self._workers_on) - self._lost)

    @property
    def learning_rate(self) -> float:
        """The learning rate of the next step."""
        return float(self._optimizer.param_groups[0]["lr"])

    @property
    def round_done(self) -> bool:
        """Whether `close_round` may be called."""
        return self._round is not None and self._round.done

    def open_round(self, now: float) -> list[Outgoing]:
        """Starts the next step; returns the parameters for every rank."""
        self._last_round = self._round
        self._round = self._round_type(
            step=self.step + 1,
            assignment=self._assignment,
            layout=self._layout,
            matrix=self._matrix,
            blame=self.blame,
            timeout=self._timeout,
            now=now,
        )
        for rank in sorted(self._lost):
            self._give_up_on(rank, now)
        frame = messages.parameters(self._round.step, self.model.parameter_vector(), self._encoder)
        return self._sending([(rank, frame) for rank in self.ranks])

    def receive(self, packet: Packet, now: float) -> list[Outgoing]:
        """Takes a message from a rank; returns what to send. Never raises for what a peer has sent."""
        self.bytes_received += packet.num_bytes
        suspects = self._workers_on.get(packet.source, [])
        try:
            if packet.data is None:
                raise FrameError(f"a message of {packet.num_bytes} bytes with tag {packet.tag} is over its bound")
            frame = Frame.decode(packet.data, bounds=self._accepted)
            if frame.kind != packet.tag:
                raise FrameError(f"a {frame.kind.name} came under tag {packet.tag}")
            if frame.worker not in suspects:
                raise FrameError(f"rank {packet.source} speaks for worker {frame.worker}, who does not live there")
            suspects = [frame.worker]
            return self._dispatch(frame, packet.source, now)
        except FrameError as error:
            for worker in suspects:
                if not self.blame.count(worker, "malformed"):
                    LOG.warning("worker %d: %s (counted; further ones are not logged)", worker, error)
                self.blame.add(worker, "malformed")
            return []

    def tick(self, now: float) -> list[Outgoing]:
        """Acts on deadlines; returns what to send."""
        return [] if self._round is None else self._addressed(self._round.tick(now))

    def next_deadline(self) -> float | None:
        """When `tick` has something to do next; None if never."""
        return None if self._round is None else self._round.next_deadline()

    def lose(self, rank: int, now: float) -> list[Outgoing]:
        """Goes on without a rank whose process is dead; returns what to send."""
        if rank in self._lost:
            return []
        self._lost.add(rank)
        for worker in self._workers_on.get(rank, []):
            LOG.warning("worker %d is lost: rank %d died", worker, rank)
            self.blame.add(worker, "lost")
        return self._give_up_on(rank, now)

    def aggregate(self) -> Aggregate:
        """Combines the winners of the finished round.

        Raises:
            LostWorkersError: too many workers are dead for this step or any later one.
        """
        assert self._round is not None
        if self._lost:
            self._require_survivors()
        files = sorted(self._round.complete)
        if reason := self._quorum_missed(len(files)):
            return Aggregate(vector=None, non_finite=(), reason=reason)
        rows = self._matrix if len(files) == len(self._matrix) else self._matrix[files]
        return self._pipeline(rows, step=self._round.step)

    def close_round(self, aggregate: Aggregate) -> StepOutcome:
        """Applies an aggregate of the finished round, and counts the step."""
        assert self._round is not None
        files = sorted(self._round.complete)
        non_finite = tuple(files[row] for row in aggregate.non_finite)
        for file in non_finite:
            for worker in self._round.ballots[file].supporters:
                self.blame.add(worker, "non_finite")
        if aggregate.vector is not None:
            vector = torch.from_numpy(aggregate.vector)
            (parameter,) = self._optimizer.param_groups[0]["params"]
            parameter.grad = vector[: self.model.num_parameters].to(parameter.device)
            self._optimizer.step()
            if self._scheduler is not None:
                self._scheduler.step()
            self.model.blend_statistics(aggregate.vector[self.model.num_parameters :])
        else:
            LOG.warning("step %d is skipped: %s", self._round.step, aggregate.reason)
        self.step = self._round.step
        return StepOutcome(
            step=self.step,
            applied=aggregate.vector is not None,
            undecided=tuple(sorted(self._round.undecided)),
            non_finite=non_finite,
            reason=aggregate.reason,
        )

    def stop(self) -> list[Outgoing]:
        """Ends training; returns the news for every rank."""
        return self._sending([(rank, messages.stop()) for rank in self.ranks])

    def state_dict(self) -> dict[str, Any]:
        """All that `load_state_dict` needs to go on as if nothing had happened."""
        return {
            "step": self.step,
            "model": self.model.module.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "scheduler": None if self._scheduler is None else self._scheduler.state_dict(),
            "rule": self._pipeline.state_dict(),
            "blame": self.blame.report(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores what `state_dict` returned.

        Raises:
            CheckpointError: it belongs to another model or optimizer.
        """
        try:
            self.model.module.load_state_dict(state["model"])
            self._optimizer.load_state_dict(state["optimizer"])
            if self._scheduler is not None:
                self._scheduler.load_state_dict(state["scheduler"])
            self._pipeline.load_state_dict(state["rule"])
            self.blame.restore(state["blame"])
            self.step = int(state["step"])
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise CheckpointError(f"the checkpoint does not fit this run: {error}") from error

    def _dispatch(self, frame: Frame, source: int, now: float) -> list[Outgoing]:
        if frame.kind is Kind.GOODBYE:
            self.goodbyes[source] = messages.read_goodbye(frame)
            return []
        if frame.kind is Kind.HELLO:
            return []  # from a rank that started too late for the handshake
        for round_ in (self._round, self._last_round):
            if round_ is not None and frame.step == round_.step:
                return self._addressed(round_.receive(frame, now))
        if self._round is None or frame.step > self._round.step:
            raise FrameError(f"step {frame.step} has not begun")
        return []  # too late to matter

    def _require_survivors(self) -> None:
        """Raises if the files that the surviving workers can still decide do not suffice for a step, since nobody comes back."""
        alive = [rank not in self._lost for rank in self._rank_of]
        holders = np.array(alive)[self._assignment.workers_of].sum(axis=1)
        decidable = int((holders >= self._assignment.majority).sum())
        reason = self._quorum_missed(decidable)
        if not reason:
            try:
                self._pipeline.check_rows(decidable)
                return
            except TooFewRowsError as error:
                reason = str(error)
        raise LostWorkersError(
            f"only {sum(alive)} of {len(alive)} workers are left, who can decide {decidable} of the {len(holders)} files "
            f"({reason}); start the job again with --resume, on hosts that live"
        )

    def _quorum_missed(self, num_files: int) -> str:
        if num_files < self._quorum * self._assignment.num_files:
            return f"only {num_files} files were decided; the quorum is higher"
        return ""

    def _give_up_on(self, rank: int, now: float) -> list[Outgoing]:
        requests: list[Frame] = []
        if self._round is not None:
            for worker in self._workers_on.get(rank, []):
                requests += self._round.give_up_on(worker, now)
        return self._addressed(requests)

    def _addressed(self, frames: list[Frame]) -> list[Outgoing]:
        return self._sending([(self._rank_of[frame.worker], frame) for frame in frames])

    def _sending(self, outgoing: list[Outgoing]) -> list[Outgoing]:
        self.bytes_sent += sum(HEADER_BYTES + len(frame.payload) for _, frame in outgoing)
        return outgoing
