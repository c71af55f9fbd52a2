"""The mean around the trimmed mean."""

from byzshield.aggregation import primitives
from byzshield.aggregation.contract import AGGREGATORS, Aggregator, Matrix

__all__ = ["Phocas"]


@AGGREGATORS.register("phocas")
class Phocas(Aggregator):
    """Mean of the n - f values of each coordinate that are nearest to their trimmed mean; of two equally near the lesser stays.

    Reference: Xie, Koyejo, Gupta, "Phocas: Dimensional Byzantine-Resilient Stochastic Gradient Descent", 2018, definition 7.

    >>> import numpy as np
    >>> Phocas(num_corrupted=1)(np.array([[1.0], [2.0], [3.0], [4.0], [90.0]])).tolist()
    [2.5]
    """

    minimum = "n >= 2f + 1"
    breakdown = "1/2"
    cost = "O(n log^2(n) d)"
    paper = "Xie, Koyejo, Gupta, 2018, arXiv:1805.09682"
    coordinate_wise = True
    finds_non_finite = True

    @property
    def minimum_rows(self) -> int:
        return 2 * self.num_corrupted + 1

    def _combine(self, rows: Matrix) -> Matrix:
        return primitives.nearest_mean(rows, len(rows) - self.num_corrupted, trim=self.num_corrupted)
