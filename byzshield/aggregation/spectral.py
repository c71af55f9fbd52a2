"""Rows seen through their inner products: means and top eigenvectors in terms of n weights instead of d coordinates."""

from dataclasses import dataclass

import numpy as np

from byzshield.aggregation import primitives
from byzshield.aggregation.contract import Matrix
from byzshield.arrays import Float64

__all__ = ["PointCloud"]


@dataclass(frozen=True, kw_only=True)
class PointCloud:
    """The rows relative to one of them, the medoid, which no minority of far rows can move far from the others.

    A point is given by weights of the rows that sum to 1. Because the origin lies among the honest rows, a huge row with a tiny
    weight does not cost the others their precision.

    Args:
        products: [n, n], inner products of the rows less the medoid.
        distances: [n], distances of the rows from the medoid, in the same unit.
    """

    products: Float64
    distances: Float64

    @classmethod
    def of(cls, rows: Matrix, squared: Float64) -> "PointCloud":
        """Builds it from the rows [n, d] and their squared distances [n, n]; one more pass over the rows."""
        medoid = int(np.sqrt(squared).sum(axis=1).argmin())
        return cls(products=primitives.gram(rows, rows[medoid]), distances=np.sqrt(squared[medoid]))

    def distances_from(self, weights: Float64) -> Float64:
        """Distances of the rows from the point `weights` [n]; [n]."""
        towards = self.products @ weights
        squared = np.diag(self.products) - 2 * towards + weights @ towards
        distances: Float64 = np.sqrt(np.maximum(squared, 0.0))
        return distances

    def principal(self, weights: Float64) -> tuple[float, Float64]:
        """The top eigenvalue of the covariance with `weights` (summing to 1), and each row's projection on its eigenvector.

        Returns:
            The eigenvalue, and the squared projections [n] of the rows less the weighted mean, up to a common factor.
        """
        towards = self.products @ weights
        about_mean = self.products - towards[:, None] - towards + weights @ towards
        roots = np.sqrt(weights)
        values, vectors = np.linalg.eigh(roots[:, None] * about_mean * roots)
        projections: Float64 = (about_mean @ (roots * vectors[:, -1])) ** 2
        return float(values[-1]), projections
