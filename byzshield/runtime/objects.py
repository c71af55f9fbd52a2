"""What a Python program gives as objects, in place of what a run file names."""

from collections.abc import Callable
from dataclasses import dataclass

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
    """

    model: Callable[[], nn.Module] | None = None
    data: TrainingData | None = None
    objective: Objective | None = None
    assignment: Assignment | None = None
    rule: Aggregator | None = None
    pre: tuple[PreAggregator, ...] | None = None
    attack: Attack | None = None
