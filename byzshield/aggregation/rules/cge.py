"""Comparative gradient elimination: the rows of greatest norm are left out."""

import numpy as np

from byzshield.aggregation import primitives
from byzshield.aggregation.contract import AGGREGATORS, Aggregator, Matrix

__all__ = ["CGE"]


@AGGREGATORS.register("cge")
class CGE(Aggregator):
    """Mean of the n - f rows of least Euclidean norm; the first ones on a tie.

    It bounds the length of what a corrupted row can add, not its direction. The paper adds the rows up; the mean differs by a
    factor.

    Reference: Gupta, Liu, Vaidya, "Byzantine Fault-Tolerant Distributed Machine Learning with Norm-Based Comparative Gradient
    Elimination", DSN-W 2021, algorithm 1.
    """

    minimum = "n >= f + 1"
    breakdown = "0 in general; 1/2 under the redundancy that the paper assumes"
    cost = "O(n d)"
    paper = "Gupta, Liu, Vaidya, DSN-W 2021, algorithm 1"
    finds_non_finite = True

    @property
    def minimum_rows(self) -> int:
        return self.num_corrupted + 1

    def _combine(self, rows: Matrix) -> Matrix:
        order = np.argsort(primitives.norms(rows), kind="stable")
        return primitives.mean_of(rows, order[: len(rows) - self.num_corrupted].tolist())
