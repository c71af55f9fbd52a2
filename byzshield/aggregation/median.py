"""The coordinate-wise median."""

import numpy as np

from byzshield.aggregation.aggregator import AGGREGATORS, Aggregator, Matrix

__all__ = ["Median"]


@AGGREGATORS.register("median")
class Median(Aggregator):
    """Median of each coordinate; the mean of the two middle values when n is even. O(n log n d).

    Each coordinate lies within the range of the honest rows as long as fewer than half of the rows are corrupted.

    Reference: Yin et al., "Byzantine-Robust Distributed Learning: Towards Optimal Statistical Rates", ICML 2018, definition 1.

    >>> Median(num_corrupted=1)(np.array([[1.0], [2.0], [9e9]])).tolist()
    [2.0]
    """

    @property
    def minimum_rows(self) -> int:
        return 2 * self.num_corrupted + 1

    def _combine(self, rows: Matrix) -> Matrix:
        num_rows = len(rows)
        ranked = np.sort(rows, axis=0)
        middle: Matrix = ranked[num_rows // 2]
        if num_rows % 2:
            return middle.copy()
        # Halve first: the sum of two huge finite values overflows.
        middle = middle / 2 + ranked[num_rows // 2 - 1] / 2
        return middle
