"""What a Python program gives as objects, in place of what a run file names."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from byzshield.aggregation import Aggregator, PreAggregator
from byzshield.attacks import Attack
from byzshield.data import TrainingData
from byzshield.objectives import Objective
from byzshield.placement import Assignment

__all__ = ["Objects"]


@dataclass(frozen=True, kw_only=True)
class Objects:
    """Parts of a run that its configuration only describes; None, or empty, where the configuration names them.

    Args:
        model: returns a new network at each call; it is called with torch's generators seeded.
        data: the samples.
        objective: loss and metrics.
        assignment: who computes which file.
        rule: the aggregation rule.
        pre: the pre-aggregators before it.
        attack: what the Byzantine workers do.
        schedules: functions and classes, by the name that stands for each in [schedule].
    """

    model: Callable[[], nn.Module] | None = None
    data: TrainingData | None = None
    objective: Objective | None = None
    assignment: Assignment | None = None
    rule: Aggregator | None = None
    pre: tuple[PreAggregator, ...] | None = None
    attack: Attack | None = None
    schedules: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
