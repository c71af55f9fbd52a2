"""The average: fast, and broken by a single bad row."""

from byzshield.aggregation.aggregator import AGGREGATORS, Aggregator, Matrix

__all__ = ["Mean"]


@AGGREGATORS.register("mean")
class Mean(Aggregator):
    """Arithmetic mean of the rows. Breakdown point 0; the reference for runs without an attack. O(n d).

    >>> import numpy as np
    >>> Mean()(np.array([[1.0, 2.0], [3.0, 6.0]])).tolist()
    [2.0, 4.0]
    """

    @property
    def minimum_rows(self) -> int:
        return 1

    def _combine(self, rows: Matrix) -> Matrix:
        mean: Matrix = rows.mean(axis=0)
        return mean
