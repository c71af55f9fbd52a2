"""The coordinate-wise trimmed mean."""

from byzshield.aggregation import primitives
from byzshield.aggregation.contract import AGGREGATORS, Aggregator, Matrix

__all__ = ["TrimmedMean"]


@AGGREGATORS.register("trimmed_mean")
class TrimmedMean(Aggregator):
    """Mean of each coordinate without its `num_corrupted` lowest and highest values.

    Each coordinate lies within the range of the honest rows.

    Reference: Yin et al., "Byzantine-Robust Distributed Learning: Towards Optimal Statistical Rates", ICML 2018, definition 2
    (which trims a fraction beta; here beta n = num_corrupted).

    >>> import numpy as np
    >>> TrimmedMean(num_corrupted=1)(np.array([[1.0], [2.0], [4.0], [9e9]])).tolist()
    [3.0]
    """

    minimum = "n >= 2f + 1"
    breakdown = "1/2"
    cost = "O(n log^2(n) d)"
    paper = "Yin et al., ICML 2018, definition 2"
    coordinate_wise = True
    finds_non_finite = True

    @property
    def minimum_rows(self) -> int:
        return 2 * self.num_corrupted + 1

    def _combine(self, rows: Matrix) -> Matrix:
        return primitives.trimmed_mean(rows, self.num_corrupted)
