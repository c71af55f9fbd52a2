"""Min-max and min-sum: as far from the mean as the distances among the known gradients allow."""

from collections.abc import Callable
from typing import Any, Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from byzshield.aggregation import primitives
from byzshield.aggregation.kernels.columns import blocks
from byzshield.aggregation.kernels.scaling import squaring_factor
from byzshield.aggregation.matrix import keep_rows, non_finite_rows
from byzshield.arrays import Float32, Float64
from byzshield.attacks.attack import ATTACKS, Attack, Situation
from byzshield.choices import require_choice

__all__ = ["MinMax", "MinSum", "Perturbation", "about_the_mean"]

BLOCK: Final = 1 << 13  # columns at a time: float64 copies of them stay in cache
SMALLEST: Final = 1e-290  # squared length of a perturbation; squares below it lose digits

Perturbation = Literal["std", "unit", "sign"]
Bound = Literal["min", "max"]
Rows = NDArray[Any]


class Spread(NamedTuple):
    """How n rows x lie about their mean mu, for a perturbation p.

    Args:
        squared: norm(x_i - mu)^2, [n].
        along: (x_i - mu) p / norm(p), [n].
        length: norm(p); 0 if it is so small that the digits of its square are lost.
    """

    squared: Float64
    along: Float64
    length: float


@ATTACKS.register("min_max")
class MinMax(Attack):
    """Sends mean - gamma * p, as far out as no known gradient is farther from it than the farthest two are from each other.

    Reference: Shejwalkar and Houmansadr, "Manipulating the Byzantine: Optimizing Model Poisoning Attacks and Defenses for
    Federated Learning", NDSS 2021. The authors search for gamma from 10 in halving steps, so theirs stays below 20; here it is
    the largest, in closed form, since the condition is quadratic in gamma for each gradient. So only the direction of p matters.

    Args:
        perturbation: p, to which the paper gives a minus: "std", the standard deviation of each coordinate (what the authors'
            experiments take); "unit", the mean over its norm; "sign", the signs of the mean.

    Raises:
        ParameterError: perturbation is none of these.
    """

    collusive = True
    compiled = True

    def __init__(self, *, perturbation: Perturbation = "std") -> None:
        require_choice("perturbation", perturbation, Perturbation)
        self.perturbation = perturbation

    def forge(self, gradients: Float32, situation: Situation) -> Float32:
        return _forge(gradients, self.perturbation, _within_the_largest_distance)


@ATTACKS.register("min_sum")
class MinSum(Attack):
    """Sends mean - gamma * p, whose squared distances from the known gradients have no greater sum than those of one of them.

    Reference: Shejwalkar and Houmansadr, NDSS 2021, as `MinMax`. For every point v, the n squared distances add up to those from
    the mean plus n norm(v - mean)^2. So the largest gamma puts v as far from the mean as that one gradient is.

    Args:
        perturbation: p, as for `MinMax`.
        bound: "min" takes the known gradient whose sum is the least, as the authors' code does; "max" the one whose sum is the
            greatest, which lets v be as far from the mean as the farthest of them.

    Raises:
        ParameterError: perturbation or bound is none of these.
    """

    collusive = True
    compiled = True

    def __init__(self, *, perturbation: Perturbation = "std", bound: Bound = "min") -> None:
        require_choice("perturbation", perturbation, Perturbation)
        require_choice("bound", bound, Bound)
        self.perturbation = perturbation
        self.bound = bound

    def forge(self, gradients: Float32, situation: Situation) -> Float32:
        extreme = np.min if self.bound == "min" else np.max
        return _forge(gradients, self.perturbation, lambda _, spread: float(np.sqrt(extreme(spread.squared))))


def _within_the_largest_distance(rows: Rows, spread: Spread) -> float:
    """The largest t >= 0 for which mu - t p / norm(p) is within the rows' largest distance of every row.

    Its squared distance from x_i is squared_i + 2 t along_i + t^2. The farthest other row is at least n / (n - 1) times as far
    from row i as the mean is, so the root is not small beside along_i and may be taken by subtraction.
    """
    room = np.maximum(primitives.squared_distances(rows).max() - spread.squared, 0.0)  # below 0 where equal rows are rounded
    return float((np.sqrt(spread.along**2 + room) - spread.along).min())


def _forge(gradients: Rows, perturbation: Perturbation, reach: Callable[[Rows, Spread], float]) -> Rows:
    """The mean less `reach(rows, spread)` times p over its norm, over the finite rows (a rule drops the others, too)."""
    dropped = non_finite_rows(gradients)
    if len(dropped) == len(gradients):
        return np.array(gradients[0])
    rows = keep_rows(gradients, dropped) if dropped else gradients
    extent = max(float(rows.max(initial=0.0)), -float(rows.min(initial=0.0))) if rows.dtype == np.float64 else 0.0
    largest = float(np.finfo(rows.dtype).max)
    if (factor := squaring_factor(extent)) != 1.0:  # squares would overflow or vanish
        with np.errstate(over="ignore"):
            return np.asarray(np.clip(_forge(rows * factor, perturbation, reach) / factor, -largest, largest))
    spread = _spread(rows, perturbation)
    gamma = reach(rows, spread) / spread.length if spread.length else 0.0
    forged = np.empty(rows.shape[1], rows.dtype)
    for block in blocks(0, rows.shape[1], BLOCK):
        mean, _, direction = about_the_mean(rows[:, block], perturbation)
        forged[block] = np.clip(mean - gamma * direction, -largest, largest)
    return forged


def _spread(rows: Rows, perturbation: Perturbation) -> Spread:
    squared, along, length = np.zeros(len(rows)), np.zeros(len(rows)), 0.0
    for block in blocks(0, rows.shape[1], BLOCK):
        _, deviations, direction = about_the_mean(rows[:, block], perturbation)
        # Not by BLAS, which may add in an order that depends on the number of its threads.
        squared += np.einsum("nd,nd->n", deviations, deviations)
        along += np.einsum("nd,d->n", deviations, direction)
        length += float(np.einsum("d,d->", direction, direction))
    length = float(np.sqrt(length)) if length > SMALLEST else 0.0
    return Spread(squared, along / (length or 1.0), length)


def about_the_mean(rows: Rows, perturbation: Perturbation) -> tuple[Float64, Float64, Float64]:
    """The mean [d], the rows less the mean [n, d], and p [d] up to a factor; all of float64."""
    mean = np.asarray(rows.mean(axis=0, dtype=np.float64))
    deviations = rows - mean
    match perturbation:
        case "std":
            return mean, deviations, np.sqrt(np.einsum("nd,nd->d", deviations, deviations))
        case "unit":
            return mean, deviations, mean
        case "sign":
            return mean, deviations, np.sign(mean)
