"""Bucketing: the means of small random groups of rows."""

import numpy as np

from byzshield.aggregation import primitives
from byzshield.aggregation.contract import PRE_AGGREGATORS, PreAggregator, SeededOperation
from byzshield.aggregation.matrix import Matrix
from byzshield.arrays import Float64
from byzshield.errors import ParameterError
from byzshield.seeding import generator

__all__ = ["Bucketing", "bucket_weights"]


def bucket_weights(num_rows: int, bucket_size: int, *, seed: int, step: int) -> tuple[Float64, Float64]:
    """Shuffles the rows and cuts them into buckets of `bucket_size`, the last of which may be smaller.

    Returns:
        Ones where a row is in a bucket, [m, n], and the sizes of the buckets, [m]: their quotient takes the means.
    """
    order = generator(seed, "aggregation.bucketing", step).permutation(num_rows)
    weights = np.zeros((-(-num_rows // bucket_size), num_rows))
    weights[np.arange(num_rows) // bucket_size, order] = 1.0
    return weights, weights.sum(axis=1)


@PRE_AGGREGATORS.register("bucketing")
class Bucketing(SeededOperation, PreAggregator):
    """Shuffles the rows, cuts them into buckets of s, and gives the mean of each: ceil(n/s) rows, of which up to f are corrupted.

    It makes honest rows that differ (heterogeneous data) more alike, at the price of a larger share of corrupted ones.

    Reference: Karimireddy, He, Jaggi, "Byzantine-Robust Learning on Heterogeneous Datasets via Bucketing", ICLR 2022,
    algorithm 1.

    Args:
        num_corrupted: f.
        bucket_size: s, rows a bucket; the last one may be smaller.
        seed: of the permutation, which is another one at each step.

    Raises:
        ParameterError: bucket_size is less than 1, or seed is negative.
    """

    minimum = "n >= 1; ceil(n / s) rows must suffice for the rule"
    breakdown = "1/s of the rule's"
    cost = "O(n d)"
    paper = "Karimireddy, He, Jaggi, ICLR 2022, algorithm 1"
    keeps_rows = False

    def __init__(self, *, num_corrupted: int = 0, bucket_size: int = 2, seed: int = 0) -> None:
        super().__init__(num_corrupted=num_corrupted, seed=seed)
        if bucket_size < 1:
            raise ParameterError(f"bucket_size must be at least 1; got {bucket_size}")
        self.bucket_size = bucket_size

    @property
    def minimum_rows(self) -> int:
        return 1

    def rows_after(self, num_rows: int) -> int:
        return -(-num_rows // self.bucket_size)

    def _transform(self, rows: Matrix) -> Matrix:
        weights, sizes = bucket_weights(len(rows), self.bucket_size, seed=self.seed, step=self.step)
        return primitives.mix(rows, weights, sizes)
