"""Smallest maximum eigenvalue averaging, on n x n matrices only."""

import math
from collections.abc import Iterator
from itertools import combinations, islice

import numpy as np
from numpy.typing import NDArray

from byzshield.aggregation import primitives
from byzshield.aggregation.contract import AGGREGATORS, DistanceAggregator, Matrix
from byzshield.arrays import Float64
from byzshield.errors import ParameterError

__all__ = ["SMEA"]

BATCH = 1 << 11  # subsets examined at a time


@AGGREGATORS.register("smea")
class SMEA(DistanceAggregator):
    """Mean of the n - f rows whose covariance has the least top eigenvalue; of several such subsets the lexicographically first.

    The eigenvalues are those of the centered inner products, which follow from the distances. Every subset is examined, but most
    are decided by a lower bound: the squared Frobenius norm over the trace.

    Reference: Allouah, Guerraoui, Gupta, Pinot, Stephan, "On the Privacy-Robustness-Utility Trilemma in Distributed Learning",
    ICML 2023, section 4 (SMEA).

    Args:
        num_corrupted: f.
        max_subsets: refuse row counts with more subsets than this; 53,130 (n = 25, f = 5) take seconds.
    """

    minimum = "n >= 2f + 1"
    breakdown = "1/2"
    cost = "O(n^2 d + C(n, f) n^3)"
    paper = "Allouah et al., ICML 2023, section 4"

    def __init__(self, num_corrupted: int | None = None, *, max_subsets: int = 200_000) -> None:
        super().__init__(num_corrupted)
        self.max_subsets = max_subsets

    @property
    def minimum_rows(self) -> int:
        return 2 * self.num_corrupted + 1

    def check_rows(self, num_rows: int) -> None:
        """As usual; also raises ParameterError if there are more than `max_subsets` subsets."""
        super().check_rows(num_rows)
        subsets = math.comb(num_rows, self.num_corrupted)
        if subsets > self.max_subsets:
            raise ParameterError(
                f"SMEA would examine {subsets} subsets of {num_rows} rows, more than max_subsets={self.max_subsets}; "
                "raise it, or use MDA or CAF"
            )

    def combine_given(self, rows: Matrix, distances: Float64) -> Matrix:
        return primitives.mean_of(rows, _least_spread_subset(distances, len(rows) - self.num_corrupted))


def _least_spread_subset(distances: Float64, size: int) -> list[int]:
    best, chosen = np.inf, list(range(size))
    for subsets in _batches(len(distances), size):
        centered = _centered_products(distances[subsets[:, :, None], subsets[:, None, :]])
        trace = np.trace(centered, axis1=1, axis2=2)
        squares = np.square(centered).sum(axis=(1, 2))
        bound = np.divide(squares, trace, out=np.zeros_like(trace), where=trace > 0)
        (open_ones,) = (bound * (1 - 1e-9) < best).nonzero()
        # In the order of the bound, so that a good subset comes early and excludes most others.
        for group in np.array_split(open_ones[np.argsort(bound[open_ones], kind="stable")], max(1, len(open_ones) // 256)):
            group = np.sort(group[bound[group] * (1 - 1e-9) < best])
            if not len(group):
                continue
            spread = np.linalg.eigvalsh(centered[group])[:, -1]
            for position, value in zip(group, spread, strict=True):
                subset = subsets[position].tolist()
                if value < best * (1 - 1e-12) or (value <= best * (1 + 1e-12) and subset < chosen):
                    best, chosen = min(best, float(value)), subset
    return chosen


def _centered_products(squared: Float64) -> Float64:
    """Inner products about the mean of each subset, [b, k, k], from squared distances [b, k, k]."""
    by_row = squared.mean(axis=2, keepdims=True)
    centered: Float64 = (by_row + by_row.transpose(0, 2, 1) - squared - by_row.mean(axis=1, keepdims=True)) / 2
    return centered


def _batches(n: int, size: int) -> Iterator[NDArray[np.int64]]:
    subsets = combinations(range(n), size)
    while batch := list(islice(subsets, BATCH)):
        yield np.array(batch, dtype=np.int64)
