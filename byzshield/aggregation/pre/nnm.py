"""Nearest neighbor mixing."""

import numpy as np

from byzshield.aggregation import primitives
from byzshield.aggregation.contract import PRE_AGGREGATORS, PreAggregator
from byzshield.aggregation.matrix import Matrix

__all__ = ["NNM"]


@PRE_AGGREGATORS.register("nnm")
class NNM(PreAggregator):
    """Each row becomes the mean of its n - f nearest rows, itself included; the first ones on a tie.

    It improves any robust rule on heterogeneous data to the best rate. Beside the result it needs n x n numbers, no array of size
    n x n x d.

    Reference: Allouah, Farhadkhani, Guerraoui, Gupta, Pinot, Stephan, "Fixing by Mixing: A Recipe for Optimal Byzantine ML under
    Heterogeneity", AISTATS 2023, algorithm 2.
    """

    minimum = "n >= 2f + 1"
    breakdown = "1/2"
    cost = "O(n^2 d)"
    paper = "Allouah et al., AISTATS 2023, algorithm 2"
    works_in_place = True
    finds_non_finite = True

    @property
    def minimum_rows(self) -> int:
        return 2 * self.num_corrupted + 1

    def _transform(self, rows: Matrix) -> Matrix:
        n = len(rows)
        distances = primitives.squared_distances(rows)
        np.fill_diagonal(distances, -1.0)
        nearest = np.argsort(distances, axis=1, kind="stable")[:, : n - self.num_corrupted]
        weights = np.zeros((n, n))
        np.put_along_axis(weights, nearest, 1.0, axis=1)
        return primitives.mix(rows, weights, weights.sum(axis=1), in_place=self.may_overwrite)
