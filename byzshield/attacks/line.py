"""Attacks that go from a point in a direction, and searches for how far."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import DTypeLike, NDArray

from byzshield.aggregation.kernels.columns import blocks
from byzshield.arrays import Float64
from byzshield.attacks.defense import Defense

__all__ = ["Line", "Optimized", "best_factor", "largest_accepted"]

BLOCK: Final = 1 << 16  # columns at a time
CONTRACTION: Final = 0.8
PRECISION: Final = 1e-5  # of a factor

Optimized = Literal["optimized", "optimized_byzfl"]
"""A factor that is searched for at each step: as in LPD-EPFL's robust-collaborative-learning, or as in ByzFL."""


@dataclass(frozen=True)
class Line:
    """The points origin + factor * direction.

    Args:
        origin: [d]; None for 0.
        direction: [d].
    """

    origin: Float64 | None
    direction: Float64

    def at(self, factor: float, dtype: DTypeLike) -> NDArray[Any]:
        """The point at `factor`, [d], of this element type; what would be beyond its range is at its end."""
        largest = float(np.finfo(np.dtype(dtype)).max)
        point = np.empty(len(self.direction), dtype)
        with np.errstate(over="ignore"):
            for block in blocks(0, len(point), BLOCK):
                values = factor * self.direction[block]
                point[block] = np.clip(values if self.origin is None else self.origin[block] + values, -largest, largest)
        return point

    def worst(self, defense: Defense, *, mean: Float64, search: Optimized, dtype: DTypeLike) -> NDArray[Any]:
        """The point that takes the server's rule farthest from `mean` [d], among those that a search tries; as of `at`."""
        return self.at(best_factor(lambda factor: defense.damage(self.at(factor, dtype), mean), search), dtype)


def best_factor(damage: Callable[[float], float], search: Optimized) -> float:
    """The factor >= 0 of the greatest damage among those that a search tries.

    Both begin at 0 and double their step while that pays, and then make it smaller by 0.8 at each try. LPD-EPFL's begins with a
    step of 1, tries points on both sides of the best and 16 in all; ByzFL's begins with 10, never looks back, and tries 20.

    Args:
        damage: of a factor.
        search: whose.
    """
    evaluations, step = (16, 1.0) if search == "optimized" else (20, 10.0)
    best, tried, most, growing = 0.0, 0.0, damage(0.0), True
    for _ in range(evaluations - 1):
        if growing or search == "optimized_byzfl":
            tried = best + step
        elif tried < best:
            tried += step
        else:
            tried = _back(tried, step)
        if (found := damage(tried)) > most:
            best, most = tried, found
        else:
            growing = False
        step *= 2 if growing else CONTRACTION
    return best


def _back(tried: float, step: float) -> float:
    """A point below `tried` by the step, or by so much of it as stays positive."""
    point = tried - step
    while point < 0:
        point = (point + tried) / 2
    return point


def largest_accepted(accepts: Callable[[float], bool], *, start: float) -> float:
    """The last factor that is accepted, from `start` in steps that halve, up after it and down after a refusal; 0 if none is."""
    factor, step, found = start, start, 0.0
    while abs(found - factor) > PRECISION:
        step /= 2
        if accepts(factor):
            found, factor = factor, factor + step
        else:
            factor -= step
    return found
