"""Median of means."""

from collections.abc import Mapping
from typing import Any, Self

from byzshield.aggregation import primitives
from byzshield.aggregation.buckets import Buckets, rule_for_buckets
from byzshield.aggregation.contract import AGGREGATORS, Aggregator, Matrix, SeededOperation
from byzshield.errors import TooFewRowsError

__all__ = ["MedianOfMeans"]


@AGGREGATORS.register("median_of_means")
class MedianOfMeans(SeededOperation, Aggregator):
    """Puts the rows into m buckets by a seeded permutation, takes the mean of each, and combines the means by another rule.

    Each corrupted row corrupts one bucket, so the means must suffice for the outer rule against as many corrupted ones.

    With `num_buckets` it is what the published code of DETOX and ByzShield does for the coordinate-wise median; that takes the
    number of buckets from a flag named bucket-size, and does not check it: with one bucket its "median" is the mean.

    Reference: Rajput et al., "DETOX: A Redundancy-based Framework for Faster and More Robust Gradient Aggregation", NeurIPS 2019,
    section 3 (hierarchical aggregation).

    Args:
        num_corrupted: f.
        bucket_size: s, rows a bucket; the last one may be smaller. 2 if neither it nor num_buckets is given.
        num_buckets: m, the number of buckets, whose sizes differ by one at most; where there are fewer rows, each is a bucket.
        seed: of the permutation, which is another one at each step.
        outer: name of the rule that combines the means ("median", "geometric_median", "multi_krum", ...) or "module:Class".

    Raises:
        ParameterError: bucket_size or num_buckets is less than 1, or both are given, or seed is negative, or the outer rule must
            know which row is which.
    """

    minimum = "m >= 2f + 1, or what the outer rule needs; m = ceil(n / s) for buckets of s rows"
    breakdown = "m/(2n)"
    cost = "O(n d) and the outer rule on m rows"
    paper = "Rajput et al., NeurIPS 2019, section 3"

    def __init__(
        self,
        num_corrupted: int | None = None,
        *,
        bucket_size: int | None = None,
        num_buckets: int | None = None,
        seed: int = 0,
        outer: str = "median",
    ) -> None:
        super().__init__(num_corrupted, seed=seed)
        self.buckets = Buckets.of_keywords(bucket_size, num_buckets)
        self.bucket_size, self.num_buckets = self.buckets.size, self.buckets.number
        self.outer = rule_for_buckets(outer, num_corrupted=num_corrupted, seed=seed)
        self.coordinate_wise = self.outer.coordinate_wise
        self.uses_num_corrupted = self.outer.uses_num_corrupted
        self.robust = self.outer.robust

    @property
    def minimum_rows(self) -> int:
        return (self.buckets.size or 1) * (self._minimum_buckets - 1) + 1

    @property
    def _minimum_buckets(self) -> int:
        return max(1, self.outer.minimum_rows)

    @property
    def remembers(self) -> bool:
        return self.outer.remembers

    def check_rows(self, num_rows: int) -> None:
        super().check_rows(num_rows)
        count, needed = self.buckets.count(num_rows), self._minimum_buckets
        if count < needed:
            raise TooFewRowsError(
                f"{type(self).__name__} against {self.num_corrupted} corrupted rows needs at least {needed} buckets; got {count}"
            )
        self.outer.check_rows(count)

    def against(self, num_corrupted: int) -> Self:
        return self._replaced(num_corrupted=num_corrupted, outer=self.outer.against(num_corrupted))

    def for_step(self, step: int) -> Self:
        return super().for_step(step)._replaced(outer=self.outer.for_step(step))

    def _combine(self, rows: Matrix) -> Matrix:
        weights, sizes = self.buckets.weights(len(rows), seed=self.seed, step=self.step)

        def combine(block: Matrix) -> Matrix:
            return self.outer._combine(primitives.mix(block, weights, sizes))

        return primitives.column_blocks(rows, combine) if self.coordinate_wise else combine(rows)

    def state_dict(self) -> dict[str, Any]:
        """What the outer rule remembers."""
        return self.outer.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.outer.load_state_dict(state)
