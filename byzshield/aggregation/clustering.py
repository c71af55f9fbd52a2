"""Two small clusterings of n points, for the rules that cluster rows by a few features or by their distances."""

import numpy as np
from numpy.typing import NDArray

from byzshield.arrays import Float64

__all__ = ["average_linkage_halves", "largest_mean_shift_cluster"]

MAX_SHIFTS = 300


def largest_mean_shift_cluster(points: Float64, *, quantile: float = 0.5) -> list[int]:
    """The largest cluster that a mean shift with a flat kernel finds; of equally large ones that with the lowest position.

    Reference: Comaniciu, Meer, "Mean Shift: A Robust Approach Toward Feature Space Analysis", IEEE TPAMI 2002.

    Args:
        points: [n, k].
        quantile: the bandwidth is the mean distance of a point from its max(1, floor(quantile n))-th nearest, itself included.

    Returns:
        Positions, ascending.
    """
    distances = np.linalg.norm(points[:, None] - points, axis=2)
    nearest = max(1, int(quantile * len(points)))
    bandwidth = float(np.sort(distances, axis=1)[:, nearest - 1].mean())
    modes = points.copy()
    for position in range(len(points)):
        for _ in range(MAX_SHIFTS):
            inside = np.linalg.norm(points - modes[position], axis=1) <= bandwidth
            shifted = points[inside].mean(axis=0) if inside.any() else modes[position]
            if np.linalg.norm(shifted - modes[position]) <= 1e-3 * bandwidth:
                break
            modes[position] = shifted
    # The mode with the most points inside it absorbs the others within a bandwidth, and so on.
    density = (np.linalg.norm(points[:, None] - modes, axis=2) <= bandwidth).sum(axis=0)
    centers: list[int] = []
    for candidate in np.argsort(-density, kind="stable"):
        if all(np.linalg.norm(modes[candidate] - modes[center]) > bandwidth for center in centers):
            centers.append(int(candidate))
    labels = np.linalg.norm(points[:, None] - modes[centers], axis=2).argmin(axis=1)
    return _largest(labels)


def average_linkage_halves(distances: Float64) -> list[int]:
    """The larger of the two clusters that agglomeration by average linkage ends with; on a tie that with the lowest position.

    Args:
        distances: [n, n], symmetric.

    Returns:
        Positions, ascending.
    """
    clusters = [[position] for position in range(len(distances))]
    between = distances + np.diag(np.full(len(distances), np.inf))
    while len(clusters) > 2:
        first, second = sorted(int(i) for i in np.unravel_index(int(between.argmin()), between.shape))
        a, b = len(clusters[first]), len(clusters[second])
        merged = (a * between[first] + b * between[second]) / (a + b)
        merged[first] = np.inf
        between[first] = between[:, first] = merged
        between = np.delete(np.delete(between, second, axis=0), second, axis=1)
        clusters[first] += clusters.pop(second)
    labels = np.zeros(len(distances), dtype=np.int64)
    for label, cluster in enumerate(clusters):
        labels[cluster] = label
    return _largest(labels)


def _largest(labels: NDArray[np.int64]) -> list[int]:
    names, first, sizes = np.unique(labels, return_index=True, return_counts=True)
    best = max(range(len(names)), key=lambda k: (sizes[k], -first[k]))
    members: list[int] = (labels == names[best]).nonzero()[0].tolist()
    return members
