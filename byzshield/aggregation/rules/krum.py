"""Krum: the row whose nearest other rows are nearest."""

import numpy as np

from byzshield.aggregation import primitives
from byzshield.aggregation.contract import AGGREGATORS, DistanceAggregator, Matrix
from byzshield.arrays import Float64

__all__ = ["Krum", "krum_scores"]


def krum_scores(distances: Float64, num_corrupted: int) -> Float64:
    """The sum of each row's squared distances to its n - f - 2 nearest others.

    Args:
        distances: [n, n], squared.
        num_corrupted: f.

    Returns:
        [n]; all zero where n - f - 2 is not positive.
    """
    neighbors = max(0, len(distances) - num_corrupted - 2)
    others = distances + np.diag(np.full(len(distances), -1.0))  # each row itself comes first, also among duplicates
    scores: Float64 = np.sort(others, axis=1)[:, 1 : neighbors + 1].sum(axis=1)
    return scores


@AGGREGATORS.register("krum")
class Krum(DistanceAggregator):
    """The row with the least sum of *squared* distances to its n - f - 2 nearest others; the first of them on a tie.

    The result is one of the rows. Some libraries take n - f - 1 neighbors, or distances that are not squared, and pick another.

    Reference: Blanchard et al., "Machine Learning with Adversaries: Byzantine Tolerant Gradient Descent", NeurIPS 2017,
    section 4.

    >>> import numpy as np
    >>> Krum(num_corrupted=1)(np.array([[0.0], [1.0], [3.0], [4.0], [90.0]])).tolist()
    [1.0]
    """

    minimum = "n >= 2f + 3"
    breakdown = "1/2 (n > 2f + 2)"
    cost = "O(n^2 d)"
    paper = "Blanchard et al., NeurIPS 2017, section 4"

    @property
    def minimum_rows(self) -> int:
        return 2 * self.num_corrupted + 3

    def combine_given(self, rows: Matrix, distances: Float64) -> Matrix:
        return primitives.copy(rows[krum_scores(distances, self.num_corrupted).argmin()])
