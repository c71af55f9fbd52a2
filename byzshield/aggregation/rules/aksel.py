"""Aksel: the half of the rows that is nearer to the median."""

import numpy as np

from byzshield.aggregation import primitives
from byzshield.aggregation.contract import AGGREGATORS, Aggregator, Matrix

__all__ = ["Aksel"]


@AGGREGATORS.register("aksel")
class Aksel(Aggregator):
    """Mean of the ceil(n/2) rows nearest to the coordinate-wise median in Euclidean distance; the first ones on a tie.

    Ties apart, these are the rows whose distance is at most the median of the distances, which is the paper's radius.

    Reference: Boussetta et al., "AKSEL: Fast Byzantine SGD", OPODIS 2020, section 3.
    """

    uses_num_corrupted = False
    minimum = "n >= 2f + 1"
    breakdown = "1/2"
    cost = "O(n log^2(n) d)"
    paper = "Boussetta et al., OPODIS 2020, section 3"
    finds_non_finite = True

    @property
    def minimum_rows(self) -> int:
        return 2 * self.num_corrupted + 1

    def _combine(self, rows: Matrix) -> Matrix:
        distances = primitives.distances_to(rows, primitives.median(rows))
        return primitives.mean_of(rows, np.argsort(distances, kind="stable")[: (len(rows) + 1) // 2].tolist())
