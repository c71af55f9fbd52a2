"""Median of means, and DETOX's other bucketed rules."""

from typing import Self

from byzshield.aggregation import primitives
from byzshield.aggregation.contract import AGGREGATORS, Aggregator, Matrix, SeededOperation
from byzshield.aggregation.pre.bucketing import bucket_weights
from byzshield.errors import ParameterError

__all__ = ["MedianOfMeans"]


@AGGREGATORS.register("median_of_means")
class MedianOfMeans(SeededOperation, Aggregator):
    """Puts the rows into buckets by a seeded permutation, takes the mean of each bucket, and combines the means by another rule.

    Each corrupted row corrupts one bucket, so the means must suffice for the inner rule against as many corrupted ones.

    Reference: Rajput et al., "DETOX: A Redundancy-based Framework for Faster and More Robust Gradient Aggregation", NeurIPS 2019,
    section 3 (hierarchical aggregation).

    Args:
        num_corrupted: f.
        bucket_size: rows a bucket; the last one may be smaller.
        seed: of the permutation, which is another one at each step.
        rule: name of the inner rule ("median", "geometric_median", "multi_krum", ...) or "module:Class".

    Raises:
        ParameterError: bucket_size is less than 1, or seed is negative.
    """

    minimum = "ceil(n / s) >= 2f + 1, or what the inner rule needs"
    breakdown = "1/(2s) for buckets of s rows"
    cost = "O(n d) and the inner rule on n/s rows"
    paper = "Rajput et al., NeurIPS 2019, section 3"

    def __init__(self, *, num_corrupted: int = 0, bucket_size: int = 2, seed: int = 0, rule: str = "median") -> None:
        super().__init__(num_corrupted=num_corrupted, seed=seed)
        if bucket_size < 1:
            raise ParameterError(f"bucket_size must be at least 1; got {bucket_size}")
        self.bucket_size = bucket_size
        self.inner = AGGREGATORS.get(rule)(num_corrupted=num_corrupted)
        self.coordinate_wise = self.inner.coordinate_wise

    @property
    def minimum_rows(self) -> int:
        return self.bucket_size * (max(1, self.inner.minimum_rows) - 1) + 1

    def check_rows(self, num_rows: int) -> None:
        super().check_rows(num_rows)
        self.inner.check_rows(-(-num_rows // self.bucket_size))

    def against(self, num_corrupted: int) -> Self:
        return self._replaced(num_corrupted=num_corrupted, inner=self.inner.against(num_corrupted))

    def for_step(self, step: int) -> Self:
        return super().for_step(step)._replaced(inner=self.inner.for_step(step))

    def _combine(self, rows: Matrix) -> Matrix:
        weights, sizes = bucket_weights(len(rows), self.bucket_size, seed=self.seed, step=self.step)

        def combine(block: Matrix) -> Matrix:
            return self.inner._combine(primitives.mix(block, weights, sizes))

        return primitives.column_blocks(rows, combine) if self.coordinate_wise else combine(rows)
