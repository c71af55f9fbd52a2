"""Bucketing: the means of small random groups of rows."""

from byzshield.aggregation import primitives
from byzshield.aggregation.buckets import Buckets
from byzshield.aggregation.contract import PRE_AGGREGATORS, PreAggregator, SeededOperation
from byzshield.aggregation.matrix import Matrix

__all__ = ["Bucketing"]


@PRE_AGGREGATORS.register("bucketing")
class Bucketing(SeededOperation, PreAggregator):
    """Shuffles the rows, puts them into m buckets, and gives the mean of each: m rows, of which up to f are corrupted.

    It makes honest rows that differ (heterogeneous data) more alike, at the price of a larger share of corrupted ones.

    Reference: Karimireddy, He, Jaggi, "Byzantine-Robust Learning on Heterogeneous Datasets via Bucketing", ICLR 2022,
    algorithm 1, with buckets of s rows, m = ceil(n / s). DETOX gives m instead.

    Args:
        num_corrupted: f.
        bucket_size: s, rows a bucket; the last one may be smaller. 2 if neither it nor num_buckets is given.
        num_buckets: m, the number of buckets, whose sizes differ by one at most; where there are fewer rows, each is a bucket.
        seed: of the permutation, which is another one at each step.

    Raises:
        ParameterError: bucket_size or num_buckets is less than 1, or both are given, or seed is negative.
    """

    uses_num_corrupted = False
    minimum = "n >= 1; m rows must suffice for the rule"
    breakdown = "m/n of the rule's"
    cost = "O(n d)"
    paper = "Karimireddy, He, Jaggi, ICLR 2022, algorithm 1"
    works_in_place = True
    keeps_rows = False

    def __init__(
        self, num_corrupted: int | None = None, *, bucket_size: int | None = None, num_buckets: int | None = None, seed: int = 0
    ) -> None:
        super().__init__(num_corrupted, seed=seed)
        self.buckets = Buckets.of_keywords(bucket_size, num_buckets)
        self.bucket_size, self.num_buckets = self.buckets.size, self.buckets.number

    @property
    def minimum_rows(self) -> int:
        return 1

    def rows_after(self, num_rows: int) -> int:
        return self.buckets.count(num_rows)

    def _transform(self, rows: Matrix) -> Matrix:
        weights, sizes = self.buckets.weights(len(rows), seed=self.seed, step=self.step)
        return primitives.mix(rows, weights, sizes, in_place=self.may_overwrite)
