"""Schedules as a user may write them, named in tests as "own_schedules:...", good and bad."""

from itertools import count
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, MultiplicativeLR, OneCycleLR, StepLR

CALLS = count()


def warm_up(updates_so_far: int, updates: int, *, over: int = 4) -> float:
    """Asks how many updates there are, and has a keyword of its own."""
    return min(1.0, (updates_so_far + 1) / over) * (1 - updates_so_far / (2 * updates))


def one_cycle(optimizer: Optimizer, updates: int, *, top: float) -> LRScheduler:
    """Makes one of torch's."""
    return OneCycleLR(optimizer, max_lr=top, total_steps=updates)


class Halved(StepLR):
    """Of which a function is an attribute, which no checkpoint could have."""

    def __init__(self, optimizer: Optimizer, every: int = 2) -> None:
        self.told = lambda: every
        super().__init__(optimizer, every, gamma=0.5)


class Multiplied(MultiplicativeLR):
    """Asks for a function."""


def another(updates_so_far: int) -> float:
    """Is another one each time."""
    return 1.0 / (2 + next(CALLS))


def negative(updates_so_far: int) -> float:
    """Is below 0 from the third update on."""
    return 1 - updates_so_far / 2


def table(updates_so_far: int) -> float:
    """Has an entry too few."""
    return [1.0, 0.5, 0.2, 0.1][updates_so_far]


def text(updates_so_far: int) -> Any:
    """Gives no number."""
    return "fast"


def keywords_alone(*, gamma: float = 0.5) -> float:
    """Takes neither the optimizer nor a number."""
    return gamma


def no_schedule(optimizer: Optimizer) -> int:
    """Makes something else."""
    return 3


def of_another(optimizer: Optimizer) -> LRScheduler:
    """Makes a schedule of an optimizer of its own."""
    return LambdaLR(type(optimizer)([{"params": optimizer.param_groups[0]["params"]}], lr=0.1), lambda _: 1.0)


def failing(optimizer: Optimizer) -> LRScheduler:
    """Raises what no constructor is expected to."""
    raise AttributeError("no such thing")
