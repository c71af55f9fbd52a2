"""What training changes: the parameters, and how an aggregate moves them."""

from typing import Any

import torch
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from byzshield.arrays import Float32
from byzshield.models import FlatModel
from byzshield.training.schedules import Skips, without_optimizer_steps

__all__ = ["TrainingState"]


class TrainingState:
    """The model, its optimizer and the learning rate's schedule.

    Args:
        model: the network; this object's copy is the one that counts.
        optimizer: over one flat parameter, which shares the memory of `model.parameters`.
        scheduler: steps once per applied step, and hears of skipped ones if it `Skips`; None for a constant learning rate.
    """

    def __init__(self, *, model: FlatModel, optimizer: Optimizer, scheduler: LRScheduler | None) -> None:
        self.model = model
        self._optimizer = optimizer
        self._scheduler = scheduler

    @property
    def learning_rate(self) -> float:
        """The learning rate of the next step."""
        return float(self._optimizer.param_groups[0]["lr"])

    @property
    def finite(self) -> bool:
        """Whether no parameter is a NaN or an infinity."""
        parameters = self.model.parameters
        # A sum that is finite has finite terms; one that is not may only have overflowed.
        return bool(parameters.sum().isfinite()) or bool(parameters.isfinite().all())

    def apply(self, gradient: Float32, statistics: Float32) -> None:
        """Steps the optimizer with a combined gradient, float32 [p], and moves BatchNorm's buffers by statistics, [s]."""
        (parameter,) = self._optimizer.param_groups[0]["params"]
        parameter.grad = torch.from_numpy(gradient).to(parameter.device)
        self._optimizer.step()
        if self._scheduler is not None:
            self._scheduler.step()
        self.model.blend_statistics(statistics)

    def skip(self) -> None:
        """Tells the schedule of a step that is not applied; torch's own count only those that are."""
        if isinstance(self._scheduler, Skips):
            self._scheduler.skip()

    def begin_behind(self, step: int) -> None:
        """Lets the schedule go on behind `step` steps that were taken elsewhere; the optimizer remembers nothing of them."""
        if self._scheduler is not None:
            with without_optimizer_steps():
                for _ in range(step):
                    self._scheduler.step()

    def state_dict(self) -> dict[str, Any]:
        """`model`, `optimizer` and `scheduler`, for a checkpoint."""
        return {
            "model": self.model.module.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "scheduler": None if self._scheduler is None else self._scheduler.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes up what `state_dict` gave.

        Raises:
            KeyError, TypeError, ValueError, RuntimeError: it belongs to another model or optimizer.
        """
        self.model.module.load_state_dict(state["model"])
        self._optimizer.load_state_dict(state["optimizer"])
        if self._scheduler is not None:
            self._scheduler.load_state_dict(state["scheduler"])
