"""The winners of a step at the server, whole or by windows of columns, and what becomes of them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from byzshield.aggregation import Aggregate, Pipeline
from byzshield.aggregation.matrix import move_up, non_finite_rows
from byzshield.choices import Exchange
from byzshield.errors import DivergedError, LostWorkersError, ParameterError, TooFewRowsError
from byzshield.placement import Assignment
from byzshield.training.decoding import Decoding
from byzshield.training.digest_round import DigestRound
from byzshield.training.full_round import FullRound
from byzshield.training.momentum import ShardMomentum
from byzshield.training.round import Round
from byzshield.training.windowed_aggregate import WindowedAggregate
from byzshield.training.windowed_round import WindowedRound
from byzshield.wire import ChunkLayout

__all__ = ["Combiner"]


class Combiner:
    """Gives each round the matrix that it writes winners to, and combines them when it is done.

    Args:
        pipeline: the robust rule with its non-finite policy; or, for the coded exchange, what decodes.
        assignment: who holds which file.
        layout: the chunks of a row.
        num_parameters: p; what stands behind them in a row are statistics.
        exchange: "digest", "full" or "coded".
        quorum: least share of the files that must have a winner for a step to be applied, 0 to 1.
        momentum: what the pipeline gets in place of gradients; None for the gradients.
        window: chunks of all winners that are held at a time; None holds the whole winners.

    Raises:
        ParameterError: windows where they do not work.
    """

    def __init__(
        self,
        pipeline: Pipeline | Decoding,
        *,
        assignment: Assignment,
        layout: ChunkLayout,
        num_parameters: int,
        exchange: Exchange,
        quorum: float,
        momentum: ShardMomentum | None,
        window: int | None,
    ) -> None:
        self._pipeline = pipeline
        self._assignment = assignment
        self._layout = layout
        self._num_parameters = num_parameters
        self._quorum = quorum
        self._momentum = momentum
        self._window = window
        self._coded = exchange == "coded"
        self._last_loss: float | None = None
        self._rule_before: dict[str, Any] | None = None  # what the rule remembered before a step that is not applied yet
        self.round_type: type[Round] = DigestRound if exchange == "digest" else FullRound
        if window is not None:
            by_columns = isinstance(pipeline, Pipeline) and pipeline.works_by_columns
            if exchange != "digest" or momentum is not None or not by_columns:
                raise ParameterError("windows need the digest exchange, a coordinate-wise rule alone, and no momentum")
            self.round_type = WindowedRound
        columns = layout.size if window is None else min(layout.size, window * layout.chunk_elements)
        dtype = np.dtype(np.float64 if self._coded else np.float32)
        self.matrix: NDArray[Any] = np.zeros((assignment.num_files, columns), dtype=dtype)

    def for_round(self, step: int) -> dict[str, Any]:
        """What a `round_type` is to be told about where winners go."""
        if self._window is None:
            return {"matrix": self.matrix}
        assert isinstance(self._pipeline, Pipeline)
        aggregate = WindowedAggregate(
            self._pipeline,
            layout=self._layout,
            num_files=self._assignment.num_files,
            num_parameters=self._num_parameters,
            chunks=self._window,
            step=step,
        )
        return {"matrix": self.matrix, "aggregate": aggregate}

    def combine(self, round_: Round, *, learning_rate: float) -> Aggregate:
        """What comes of the winners of a finished round.

        Raises:
            DivergedError: more gradients are not finite than can be false, or their combination is not.
        """
        files = sorted(round_.complete)
        if reason := self._quorum_missed(len(files)):
            return Aggregate(vector=None, non_finite=(), reason=reason)
        if isinstance(self._pipeline, Pipeline) and self._pipeline.rule.remembers:
            self._rule_before = self._pipeline.state_dict()
        aggregate = round_.result() if isinstance(round_, WindowedRound) else self._combined(files, round_.step)
        if len(aggregate.non_finite) > self._pipeline.num_corrupted:
            why = (
                f"{len(aggregate.non_finite)} of {len(files)} files have a gradient that is not finite, and at most "
                f"{self._pipeline.num_corrupted} can be false"
            )
            where = () if self._coded else tuple(files[row] for row in aggregate.non_finite)
            raise self.diverged(round_.step, why, learning_rate, files=where)
        if aggregate.vector is not None and non_finite_rows(aggregate.vector[None]):
            raise self.diverged(round_.step, "the combined gradient is not finite", learning_rate)
        return aggregate

    def keep(self, aggregate: Aggregate) -> None:
        """Remembers what has been applied."""
        assert aggregate.statistics is not None
        self._rule_before = None
        self._last_loss = float(aggregate.statistics[-1])
        if self._momentum is not None:
            self._momentum.keep(dropped=aggregate.non_finite)

    def diverged(self, step: int, why: str, learning_rate: float, *, files: Sequence[int] = ()) -> DivergedError:
        """What to raise where the model itself is to blame."""
        loss = "" if self._last_loss is None else f"last loss {self._last_loss:.4g}, "
        return DivergedError(
            f"the model diverged at step {step} ({loss}learning rate {learning_rate:g}): {why}; no worker is blamed for it, "
            "use a lower optimizer.lr, with --resume or afresh",
            files=files,
            most_false=self._pipeline.num_corrupted,
        )

    def require_survivors(self, alive: list[bool]) -> None:
        """Raises if the files that the surviving workers can still decide do not suffice for a step, since nobody comes back.

        Args:
            alive: [K], whether each worker is.

        Raises:
            LostWorkersError: they do not.
        """
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

    def state_dict(self) -> dict[str, Any]:
        """What the rule and the momenta remember of the steps that were applied, for a checkpoint."""
        return {
            "rule": self._pipeline.state_dict() if self._rule_before is None else self._rule_before,
            "momentum": None if self._momentum is None else self._momentum.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes up what `state_dict` gave."""
        self._pipeline.load_state_dict(state["rule"])
        self._rule_before = None
        if self._momentum is not None:
            self._momentum.load_state_dict(state["momentum"])

    def _combined(self, files: list[int], step: int) -> Aggregate:
        rows = move_up(self.matrix, files)
        if self._coded:
            rows = rows.view(np.complex128)
        p = self._num_parameters
        if self._momentum is not None:
            self._momentum.blend(rows[:, :p], files)
        gradients, statistics = rows[:, :p], rows[:, p:]
        if isinstance(self._pipeline, Decoding):
            return self._pipeline(gradients, statistics=statistics, numbers=files, step=step)
        # Momenta are kept after the step.
        return self._pipeline(gradients, statistics=statistics, numbers=files, step=step, in_place=self._momentum is None)

    def _quorum_missed(self, num_files: int) -> str:
        if num_files < self._quorum * self._assignment.num_files:
            return f"{num_files} of {self._assignment.num_files} files were decided; the quorum is {self._quorum:g} of them"
        return ""
