"""Minimum diameter averaging, by a search for cliques instead of an enumeration of subsets."""

import numpy as np

from byzshield.aggregation import primitives
from byzshield.aggregation.contract import AGGREGATORS, DistanceAggregator, Matrix
from byzshield.arrays import Float64

__all__ = ["MDA", "least_diameter_subset"]


@AGGREGATORS.register("mda")
class MDA(DistanceAggregator):
    """Mean of the n - f rows whose greatest pairwise distance is least; of several such subsets the lexicographically first.

    Rows whose distance exceeds a threshold exclude each other. A subset of n - f rows within the threshold exists exactly if
    f rows cover all exclusions, which a bounded search tree decides quickly; the least threshold is found by bisection.

    Reference: Rousseeuw, "Multivariate Estimation with High Breakdown Point", 1985; El Mhamdi et al., "Distributed Momentum for
    Byzantine-resilient Stochastic Gradient Descent", ICLR 2021, appendix (MDA).
    """

    minimum = "n >= 2f + 1"
    breakdown = "1/2"
    cost = "O(n^2 d), and a search of at most O(1.5^f n^2 log(n))"
    paper = "Rousseeuw 1985; El Mhamdi et al., ICLR 2021"

    @property
    def minimum_rows(self) -> int:
        return 2 * self.num_corrupted + 1

    def combine_given(self, rows: Matrix, distances: Float64) -> Matrix:
        return primitives.mean_of(rows, least_diameter_subset(distances, len(rows) - self.num_corrupted))


def least_diameter_subset(distances: Float64, size: int) -> list[int]:
    """The lexicographically first subset of `size` positions whose greatest distance is least.

    Args:
        distances: [n, n].
        size: 1 to n.
    """
    n = len(distances)
    candidates = np.unique(distances[np.triu_indices(n, 1)]) if size > 1 else np.zeros(1)
    low, high = 0, len(candidates) - 1
    while low < high:
        middle = (low + high) // 2
        if _coverable(_exclusions(distances, candidates[middle]), (1 << n) - 1, n - size):
            high = middle
        else:
            low = middle + 1
    return _first_subset(_exclusions(distances, candidates[low] if size > 1 else np.inf), size)


def _exclusions(distances: Float64, threshold: float) -> list[int]:
    """For each row the set, as bits, of those that are farther from it than the threshold."""
    return [sum(1 << int(other) for other in far.nonzero()[0]) for far in distances > threshold]


def _coverable(exclusions: list[int], remaining: int, budget: int) -> bool:
    """Whether removing at most `budget` of the rows in `remaining` leaves no two that exclude each other."""
    while True:
        edges, most, vertex = 0, 0, -1
        for row in _members(remaining):
            degree = (exclusions[row] & remaining).bit_count()
            edges += degree
            if degree > most:
                most, vertex = degree, row
        if not most:
            return True
        if edges > 2 * budget * most:
            return False
        if most == 1:
            return True  # the bound has counted the single pairs
        if most <= budget and _coverable(exclusions, remaining & ~exclusions[vertex], budget - most):
            return True
        remaining &= ~(1 << vertex)
        budget -= 1


def _first_subset(exclusions: list[int], size: int) -> list[int]:
    remaining = (1 << len(exclusions)) - 1
    budget = len(exclusions) - size
    chosen: list[int] = []
    for row in range(len(exclusions)):
        if len(chosen) == size:
            break
        if not remaining >> row & 1:
            continue
        excluded = exclusions[row] & remaining
        left = budget - excluded.bit_count()
        if left >= 0 and _coverable(exclusions, remaining & ~excluded, left):
            chosen.append(row)
            remaining &= ~excluded
            budget = left
        else:
            remaining &= ~(1 << row)
            budget -= 1
    return chosen


def _members(bits: int) -> list[int]:
    return [position for position in range(bits.bit_length()) if bits >> position & 1]
