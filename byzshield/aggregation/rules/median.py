"""The coordinate-wise median."""

from byzshield.aggregation import primitives
from byzshield.aggregation.contract import AGGREGATORS, Aggregator, Matrix

__all__ = ["Median"]


@AGGREGATORS.register("median")
class Median(Aggregator):
    """Median of each coordinate; the mean of the two middle values when n is even.

    Each coordinate lies within the range of the honest rows as long as fewer than half of the rows are corrupted.

    Reference: Yin et al., "Byzantine-Robust Distributed Learning: Towards Optimal Statistical Rates", ICML 2018, definition 1.

    >>> import numpy as np
    >>> Median(num_corrupted=1)(np.array([[1.0], [2.0], [9e9]])).tolist()
    [2.0]
    """

    uses_num_corrupted = False
    minimum = "n >= 2f + 1"
    breakdown = "1/2"
    cost = "O(n log^2(n) d)"
    paper = "Yin et al., ICML 2018, definition 1"
    coordinate_wise = True
    finds_non_finite = True

    @property
    def minimum_rows(self) -> int:
        return 2 * self.num_corrupted + 1

    def _combine(self, rows: Matrix) -> Matrix:
        return primitives.median(rows)
