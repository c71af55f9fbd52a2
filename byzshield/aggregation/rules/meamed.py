"""The mean around the median."""

from byzshield.aggregation import primitives
from byzshield.aggregation.contract import AGGREGATORS, Aggregator, Matrix

__all__ = ["MeaMed"]


@AGGREGATORS.register("meamed")
class MeaMed(Aggregator):
    """Mean of the n - f values of each coordinate that are nearest to their median; of two equally near ones the lesser stays.

    Also called the averaged median. Smoother than the median when few rows are corrupted.

    Reference: Xie, Koyejo, Gupta, "Generalized Byzantine-tolerant SGD", 2018, definition 8 (mean around median).

    >>> import numpy as np
    >>> MeaMed(num_corrupted=1)(np.array([[1.0], [2.0], [3.0], [4.0], [90.0]])).tolist()
    [2.5]
    """

    minimum = "n >= 2f + 1"
    breakdown = "1/2"
    cost = "O(n log^2(n) d)"
    paper = "Xie, Koyejo, Gupta, 2018, arXiv:1802.10116"
    coordinate_wise = True
    finds_non_finite = True

    @property
    def minimum_rows(self) -> int:
        return 2 * self.num_corrupted + 1

    def _combine(self, rows: Matrix) -> Matrix:
        return primitives.nearest_mean(rows, len(rows) - self.num_corrupted)
