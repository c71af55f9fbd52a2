"""Divide and conquer: rows with a large projection on the top singular vector are removed."""

import math

import numpy as np

from byzshield.aggregation import primitives
from byzshield.aggregation.contract import AGGREGATORS, Aggregator, Matrix, SeededOperation
from byzshield.arrays import Float64
from byzshield.errors import ParameterError
from byzshield.seeding import generator

__all__ = ["DnC"]


@AGGREGATORS.register("dnc")
class DnC(SeededOperation, Aggregator):
    """Mean of the rows that every iteration keeps.

    An iteration draws coordinates, centers the rows on their mean there, and removes the floor(c f) rows with the largest squared
    projection on the top right singular vector; the last ones on a tie.

    Reference: Shejwalkar, Houmansadr, "Manipulating the Byzantine: Optimizing Model Poisoning Attacks and Defenses for Federated
    Learning", NDSS 2021, algorithm 2.

    Args:
        num_corrupted: f.
        iterations: niters.
        sample: b, coordinates that an iteration draws; all where there are fewer.
        filter_fraction: c.
        seed: of the draws, which are others at each step.

    Raises:
        ParameterError: iterations, sample or filter_fraction is not positive, or seed is negative.
    """

    minimum = "n >= 2f + 1 and n > floor(c f) * iterations"
    breakdown = "1/2 for honest rows that are concentrated"
    cost = "O(n d + iterations (n^2 b + n^3))"
    paper = "Shejwalkar, Houmansadr, NDSS 2021, algorithm 2"

    def __init__(
        self,
        num_corrupted: int | None = None,
        *,
        iterations: int = 1,
        sample: int = 10_000,
        filter_fraction: float = 1.0,
        seed: int = 0,
    ) -> None:
        super().__init__(num_corrupted, seed=seed)
        if iterations < 1 or sample < 1 or not 0 < filter_fraction < math.inf:
            raise ParameterError(
                f"iterations, sample and filter_fraction must be positive; got {iterations}, {sample} and {filter_fraction}"
            )
        self.iterations = iterations
        self.sample = sample
        self.filter_fraction = filter_fraction

    @property
    def minimum_rows(self) -> int:
        return max(2 * self.num_corrupted, self._removed * self.iterations) + 1

    @property
    def _removed(self) -> int:
        return int(self.filter_fraction * self.num_corrupted)

    def _combine(self, rows: Matrix) -> Matrix:
        n, d = rows.shape
        good = set(range(n))
        for iteration in range(self.iterations):
            draw = generator(self.seed, "aggregation.dnc", self.step, iteration)
            drawn = np.sort(draw.choice(d, size=min(d, self.sample), replace=False))
            scores = _outlier_scores(primitives.columns(rows, drawn).astype(np.float64))
            good &= set(np.argsort(scores, kind="stable")[: n - self._removed].tolist())
        return primitives.mean_of(rows, sorted(good))


def _outlier_scores(values: Float64) -> Float64:
    """Squared projections [n] of the centered rows on their top right singular vector, up to a common factor."""
    largest = np.abs(values).max(initial=0.0)
    centered = values / largest if largest > 0 else values
    centered = centered - centered.mean(axis=0)
    scores: Float64 = np.linalg.eigh(centered @ centered.T)[1][:, -1] ** 2
    return scores
