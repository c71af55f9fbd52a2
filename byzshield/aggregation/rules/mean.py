"""The arithmetic mean, which a single corrupted row can move anywhere."""

from byzshield.aggregation import primitives
from byzshield.aggregation.contract import AGGREGATORS, Aggregator, Matrix

__all__ = ["Mean"]


@AGGREGATORS.register("mean")
class Mean(Aggregator):
    """Arithmetic mean of the rows, summed in float64. The reference for runs without an attack.

    >>> import numpy as np
    >>> Mean()(np.array([[1.0, 2.0], [3.0, 6.0]])).tolist()
    [2.0, 4.0]
    """

    uses_num_corrupted = False
    minimum = "n >= 1"
    breakdown = "0"
    cost = "O(n d)"
    paper = "the arithmetic mean"
    coordinate_wise = True
    finds_non_finite = True
    robust = False

    @property
    def minimum_rows(self) -> int:
        return 1

    def _combine(self, rows: Matrix) -> Matrix:
        return primitives.mean(rows)
