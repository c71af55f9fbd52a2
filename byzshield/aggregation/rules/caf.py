"""Covariance-bound agnostic filter: rows lose weight along the direction of greatest spread."""

import numpy as np

from byzshield.aggregation import primitives
from byzshield.aggregation.contract import AGGREGATORS, DistanceAggregator, Matrix
from byzshield.aggregation.spectral import PointCloud
from byzshield.arrays import Float64

__all__ = ["CAF"]


@AGGREGATORS.register("caf")
class CAF(DistanceAggregator):
    """Weighted mean of least top eigenvalue among those that a filter passes through.

    All rows start with weight 1. While the weights sum to more than n - 2f, each row's weight is multiplied by
    1 - tau / max(tau), tau being its squared projection, less the weighted mean, on the top eigenvector of the weighted
    covariance; so each round gives at least one more row the weight 0. The eigenvector is exact and comes from the n x n inner
    products: no random start.

    Reference: Allouah, Guerraoui, Stephan, "Towards Trustworthy Federated Learning with Untrusted Participants", ICML 2025,
    algorithm 2 (CAF).
    """

    minimum = "n >= 2f + 1"
    breakdown = "1/2"
    cost = "O(n^2 d + f n^3)"
    paper = "Allouah, Guerraoui, Stephan, ICML 2025, algorithm 2"

    @property
    def minimum_rows(self) -> int:
        return 2 * self.num_corrupted + 1

    def combine_given(self, rows: Matrix, distances: Float64) -> Matrix:
        cloud = PointCloud.of(rows, distances)
        n = len(rows)
        weights = np.ones(n)
        best, chosen = np.inf, weights
        for _ in range(n):
            spread, projections = cloud.principal(weights / weights.sum())
            if spread < best:
                best, chosen = spread, weights
            farthest = projections[weights > 0].max()
            if farthest <= 0:
                break  # the rows that still count are one point
            weights = weights * np.clip(1 - projections / farthest, 0.0, 1.0)
            if weights.sum() <= n - 2 * self.num_corrupted or not weights.any():
                break
        return primitives.weighted_sum(rows, chosen, float(chosen.sum()))
