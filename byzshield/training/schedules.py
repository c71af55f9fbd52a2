"""Schedules of the learning rate that torch does not have, and how a schedule hears of a step that was not applied."""

import warnings
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate
from math import inf, nan
from typing import Protocol, runtime_checkable

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, SequentialLR

from byzshield.errors import ParameterError

__all__ = ["ExponentialSteps", "Factors", "ScheduleSequence", "Skips", "without_optimizer_steps"]


@runtime_checkable
class Skips(Protocol):
    """A schedule that is told of skipped steps; torch's own know only of those that were applied."""

    def skip(self) -> None:
        """Takes notice of a step that left the parameters as they were."""


class ExponentialSteps(LRScheduler):
    """Learning rate lr * gamma^floor(t / step_size) at step t = 1, 2, ..., applied or skipped.

    So the published ByzShield code has it. Step number step_size is the first with a lower rate, one earlier than under StepLR,
    whose count starts from 0 and leaves out skipped steps.

    Args:
        optimizer: whose rate it sets.
        gamma: factor of each decay, positive.
        step_size: steps between two decays, at least 1.

    Raises:
        ParameterError: one of them is out of range.
    """

    def __init__(self, optimizer: Optimizer, gamma: float, step_size: int) -> None:
        if not gamma > 0:
            raise ParameterError(f"gamma must be positive; got {gamma}")
        if step_size < 1:
            raise ParameterError(f"step_size must be at least 1; got {step_size}")
        self.gamma = gamma
        self.step_size = step_size
        super().__init__(optimizer)

    def get_lr(self) -> list[float]:  # type: ignore[override]  # torch's also gives tensors, for an lr that is one
        """The rate of step last_epoch + 1 for each parameter group, from the rate at the start alone."""
        decays = (self.last_epoch + 1) // self.step_size
        return [float(rate) * self.gamma**decays for rate in self.base_lrs]

    def skip(self) -> None:
        """Counts the skipped step."""
        with without_optimizer_steps():
            self.step()


class Factors(LRScheduler):
    """Learning rate lr * factor(n) after n = 0, 1, 2, ... updates, by a function of a user's own.

    Unlike torch's LambdaLR it keeps nothing of the function in its state, so that any function will do.

    Args:
        optimizer: whose rates it sets.
        factor: the same function of n whenever it is called.

    Raises:
        ParameterError: a factor is no finite number of at least 0; at construction that for n = 0, and at each step the next one.
    """

    def __init__(self, optimizer: Optimizer, factor: Callable[[int], float]) -> None:
        self._factor = factor
        super().__init__(optimizer)

    def get_lr(self) -> list[float]:  # type: ignore[override]  # torch's also gives tensors, for an lr that is one
        """The rates after last_epoch updates, one for each parameter group."""
        factor = self.factor_after(self.last_epoch)
        return [float(rate) * factor for rate in self.base_lrs]

    def factor_after(self, updates: int) -> float:
        """The factor after so many updates.

        Raises:
            ParameterError: it is no finite number of at least 0.
        """
        found = self._factor(updates)
        try:
            factor = float(found)
        except (TypeError, ValueError):
            factor = nan
        if not 0 <= factor < inf:
            raise ParameterError(
                f"the factor of the rate must be a finite number of at least 0; after {updates} updates got {found!r}"
            )
        return factor


class ScheduleSequence(SequentialLR):
    """Schedules one after another, each with a count of its own that starts from the optimizer's initial rate.

    A skipped step counts if the schedule that it falls under counts it.

    Args:
        optimizer: whose rate they set.
        schedules: over this optimizer, made in this order.
        lengths: steps of each but the last.
    """

    def __init__(self, optimizer: Optimizer, schedules: Sequence[LRScheduler], lengths: Sequence[int]) -> None:
        self._ends = list(accumulate(lengths))
        self._counts_skipped = [isinstance(schedule, Skips) for schedule in schedules]
        super().__init__(optimizer, list(schedules), self._ends)

    def step(self) -> None:  # type: ignore[override]
        """Goes on to the next step."""
        with without_optimizer_steps():
            super().step()

    def skip(self) -> None:
        """Counts the skipped step if the current schedule does."""
        if self._counts_skipped[bisect_right(self._ends, self.last_epoch)]:
            self.step()


@contextmanager
def without_optimizer_steps() -> Iterator[None]:
    """No warnings that the optimizer has taken no step, or, in older torch, of how SequentialLR begins the next schedule."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        yield
