"""The coordinate-wise trimmed mean."""

import numpy as np

from byzshield.aggregation.aggregator import AGGREGATORS, Aggregator, Matrix

__all__ = ["TrimmedMean"]


@AGGREGATORS.register("trimmed_mean")
class TrimmedMean(Aggregator):
    """Mean of each coordinate without its `num_corrupted` lowest and highest values. O(n log n d).

    Reference: Yin et al., "Byzantine-Robust Distributed Learning: Towards Optimal Statistical Rates", ICML 2018, definition 2
    (which trims a fraction beta; here beta n = num_corrupted).

    >>> TrimmedMean(num_corrupted=1)(np.array([[1.0], [2.0], [4.0], [9e9]])).tolist()
    [3.0]
    """

    @property
    def minimum_rows(self) -> int:
        return 2 * self.num_corrupted + 1

    def _combine(self, rows: Matrix) -> Matrix:
        ranked = np.sort(rows, axis=0)
        kept: Matrix = ranked[self.num_corrupted : len(rows) - self.num_corrupted].mean(axis=0)
        return kept
