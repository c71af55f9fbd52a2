"""The geometric median: the point with the least sum of distances."""

import math

import numpy as np

from byzshield.aggregation import primitives
from byzshield.aggregation.contract import AGGREGATORS, DistanceAggregator, Matrix
from byzshield.aggregation.spectral import PointCloud
from byzshield.arrays import Float64
from byzshield.errors import ParameterError

__all__ = ["GeometricMedian"]


@AGGREGATORS.register("geometric_median")
class GeometricMedian(DistanceAggregator):
    """The point whose distances to the rows have the least sum, by the smoothed Weiszfeld iteration.

    Every iterate is a weighted mean of the rows, so the iteration runs on n weights and the inner products; the rows are read
    three times, however many iterations there are. Smoothing and tolerance are relative to the median distance of the rows from
    their medoid (the paper's nu is absolute), so that the result scales with its rows.

    Reference: Pillutla, Kakade, Harchaoui, "Robust Aggregation for Federated Learning", IEEE Transactions on Signal Processing
    2022, algorithm 2 (smoothed Weiszfeld).

    Args:
        num_corrupted: f.
        smoothing: nu: distances count as at least this, relative.
        tolerance: stop when a step is shorter than this, relative.
        max_iterations: T: stop after as many steps.

    Raises:
        ParameterError: smoothing, tolerance or max_iterations is not positive.
    """

    uses_num_corrupted = False
    minimum = "n >= 2f + 1"
    breakdown = "1/2"
    cost = "O(n^2 d + T n^2)"
    paper = "Pillutla, Kakade, Harchaoui, IEEE TSP 2022, algorithm 2"

    def __init__(
        self, num_corrupted: int | None = None, *, smoothing: float = 1e-6, tolerance: float = 1e-9, max_iterations: int = 1000
    ) -> None:
        super().__init__(num_corrupted)
        if not (0 < smoothing < math.inf and 0 < tolerance < math.inf) or max_iterations < 1:
            raise ParameterError(
                f"smoothing, tolerance and max_iterations must be positive; got {smoothing}, {tolerance} and {max_iterations}"
            )
        self.smoothing = smoothing
        self.tolerance = tolerance
        self.max_iterations = max_iterations

    @property
    def minimum_rows(self) -> int:
        return 2 * self.num_corrupted + 1

    def combine_given(self, rows: Matrix, distances: Float64) -> Matrix:
        return primitives.weighted_sum(rows, self._weights(PointCloud.of(rows, distances)))

    def _weights(self, cloud: PointCloud) -> Float64:
        n = len(cloud.distances)
        scale = float(np.median(cloud.distances))
        if scale == 0.0:  # more than half of the rows are the medoid itself
            coincide = cloud.distances == 0.0
            at_medoid: Float64 = coincide / coincide.sum()
            return at_medoid
        weights: Float64 = np.full(n, 1 / n)
        for _ in range(self.max_iterations):
            closeness = 1 / np.maximum(cloud.distances_from(weights), self.smoothing * scale)
            updated: Float64 = closeness / closeness.sum()
            step = updated - weights
            weights = updated
            length = math.sqrt(max(0.0, float(step @ cloud.products @ step)))
            if length <= self.tolerance * scale:
                break
        return weights
