"""What training changes: the parameters, and how aggregates move them."""

from dataclasses import dataclass
from typing import Any

import torch
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from byzshield.arrays import Float32
from byzshield.errors import ComputationError, explain
from byzshield.models import FlatModel
from byzshield.training.schedules import Skips, without_optimizer_steps

__all__ = ["Change", "TrainingState"]


@dataclass(frozen=True, kw_only=True)
class Change:
    """What an aggregate has changed.

    Args:
        updated: whether the optimizer took a step.
        gradient_norm: the length of the gradient of that step before it was clipped; None if there was none, or no clipping.
    """

    updated: bool
    gradient_norm: float | None = None


class TrainingState:
    """The model, its optimizer and the learning rate's schedule.

    Args:
        model: the network; this object's copy is the one that counts.
        optimizer: over flat parameters, each of them a part of `model.parameters` in whose memory it lies.
        scheduler: steps once per update, and hears of skipped ones if it `Skips`; None for a constant learning rate.
        accumulate: n, aggregates whose mean makes one update; in between, parameters and learning rate stay.
        clip_norm: the greatest length of the gradient of an update; a longer one is shortened to it. None for any.
    """

    def __init__(
        self,
        *,
        model: FlatModel,
        optimizer: Optimizer,
        scheduler: LRScheduler | None,
        accumulate: int = 1,
        clip_norm: float | None = None,
    ) -> None:
        self.model = model
        self._optimizer = optimizer
        self._scheduler = scheduler
        self._accumulate = accumulate
        self._clip_norm = clip_norm
        self._sum: torch.Tensor | None = None  # [p], of the aggregates since the last update
        self._rounds = 0  # how many these are
        self._updates = 0  # as the schedule counts them
        self._ahead = False  # of a schedule that has failed

    @property
    def learning_rate(self) -> float:
        """The learning rate of the next update, that of the parameters in no group of their own."""
        return float(self._optimizer.param_groups[0]["lr"])

    @property
    def finite(self) -> bool:
        """Whether no parameter is a NaN or an infinity, nor ahead of a schedule that has failed."""
        parameters = self.model.parameters
        if self._ahead:
            return False
        # A sum that is finite has finite terms; one that is not may only have overflowed.
        return bool(parameters.sum().isfinite()) or bool(parameters.isfinite().all())

    def apply(self, gradient: Float32, statistics: Float32) -> Change:
        """Adds a combined gradient, float32 [p], and after as many as make an update steps the optimizer with their mean.

        BatchNorm's buffers move by the statistics, [s], each time, as those of a network that accumulates by itself.

        Raises:
            ComputationError: a schedule of the user's own fails behind the update.
        """
        self.model.blend_statistics(statistics)
        mean = torch.from_numpy(gradient).to(self.model.parameters.device)
        if self._accumulate > 1:
            # What a rule gives may lie in the matrix of the winners, which the next round writes to.
            self._sum = mean.clone() if self._sum is None else self._sum.add_(mean)
            self._rounds += 1
            if self._rounds < self._accumulate:
                return Change(updated=False)
            mean = self._sum / self._accumulate
            self._sum, self._rounds = None, 0
        mean, norm = self._clipped(mean)
        for group in self._optimizer.param_groups:
            for parameter in group["params"]:
                start = parameter.storage_offset()
                parameter.grad = mean[start : start + parameter.numel()]
        self._optimizer.step()
        for group in self._optimizer.param_groups:
            for parameter in group["params"]:
                parameter.grad = None  # or the aggregate would stay in memory through the next round
        self._updates += 1
        if self._scheduler is not None:
            self._ahead = True
            try:
                self._scheduler.step()
            except Exception as error:  # whatever the user's code raises
                raise ComputationError(f"the schedule has failed after {self._updates} updates: {explain(error)}") from error
            self._ahead = False
        return Change(updated=True, gradient_norm=norm)

    def skip(self) -> None:
        """Tells the schedule of an update that is not made; torch's own count only those that are.

        With several aggregates an update none is left out: the next aggregate takes the place of the one that is missing.
        """
        if self._accumulate == 1 and isinstance(self._scheduler, Skips):
            self._scheduler.skip()
            self._updates = self._scheduler.last_epoch

    def begin_behind(self, step: int) -> None:
        """Lets the schedule go on behind `step` steps that were taken elsewhere; the optimizer remembers nothing of them."""
        self._count_to(step // self._accumulate)

    def state_dict(self) -> dict[str, Any]:
        """`model`, `optimizer`, and the updates and aggregates so far, for a checkpoint."""
        return {
            "model": self.model.module.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "updates": self._updates,
            "accumulated": {"rounds": self._rounds, "sum": self._sum},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes up what `state_dict` gave, behind which learning rate, schedule and the optimizer's keywords are its own.

        The schedule counts anew up to where the other was: with the same keywords it gives the same rates, bit for bit, and with
        others those that they would have led to.

        Raises:
            KeyError, TypeError, ValueError, RuntimeError: it belongs to another model or optimizer.
        """
        self.model.module.load_state_dict(state["model"])
        keywords = [{key: value for key, value in group.items() if key != "params"} for group in self._optimizer.param_groups]
        self._optimizer.load_state_dict(state["optimizer"])
        for group, own in zip(self._optimizer.param_groups, keywords, strict=True):
            group.update(own)
        self._count_to(state["updates"])
        total = state["accumulated"]["sum"]
        self._sum = None if total is None else total.to(self.model.parameters.device)
        self._rounds = state["accumulated"]["rounds"]

    def _clipped(self, gradient: torch.Tensor) -> tuple[torch.Tensor, float | None]:
        """The gradient in the length that it may have, and its length before; its squares may be too large for float32."""
        if self._clip_norm is None:
            return gradient, None
        norm = float(torch.linalg.vector_norm(gradient, dtype=torch.float64))
        return (gradient * (self._clip_norm / norm) if norm > self._clip_norm else gradient), norm

    def _count_to(self, updates: int) -> None:
        if updates < self._updates:
            raise ValueError(f"it has {updates} updates behind it, and run.start_step begins behind {self._updates}")
        with without_optimizer_steps():
            while self._updates < updates:
                self._updates += 1
                if self._scheduler is not None:
                    self._scheduler.step()
