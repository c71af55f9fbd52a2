"""DETOX's bucketed rules: one rule in each bucket of rows, another one over the buckets."""

from collections.abc import Callable, Mapping
from typing import Any, Self

from byzshield.aggregation import primitives
from byzshield.aggregation.buckets import Buckets, rule_for_buckets
from byzshield.aggregation.contract import AGGREGATORS, Aggregator, Matrix, SeededOperation
from byzshield.errors import ParameterError, TooFewRowsError

__all__ = ["Bucketed"]


@AGGREGATORS.register("bucketed")
class Bucketed(SeededOperation, Aggregator):
    """Puts the rows into m buckets by a seeded permutation, applies one rule in each bucket and another one to the results.

    The three forms of the published code of DETOX and ByzShield, whose flag bucket-size is m:

    - coordinate-wise median: inner = "mean", outer = "median", which `MedianOfMeans` is, too;
    - multi-Krum: inner = "multi_krum", outer = "mean" (DETOX: m = 2);
    - signSGD: inner = "sign_majority", outer = "sign_majority".

    Any number of the f corrupted rows may fall into one bucket. The inner rule is told t, the most corrupted rows up to f that it
    withstands in the smallest bucket (none for the mean); it takes t + 1 of them to corrupt a result, so the outer rule must
    withstand floor(f / (t + 1)) corrupted results. If the outer rule is the mean, t must be f. That is what the published
    multi-Krum tells each bucket, but nothing there checks the numbers; here sizes without a guarantee are refused.

    Reference: Rajput et al., "DETOX: A Redundancy-based Framework for Faster and More Robust Gradient Aggregation", NeurIPS 2019,
    section 3 (hierarchical aggregation), and its published code.

    Args:
        num_corrupted: f.
        num_buckets: m, the number of buckets, whose sizes differ by one at most; where there are fewer rows, each is a bucket.
        inner: name of the rule for the rows of a bucket, or "module:Class"; one that remembers nothing.
        outer: name of the rule for the results of the buckets, or "module:Class".
        seed: of the permutation, which is another one at each step.

    Raises:
        ParameterError: num_buckets is less than 1, or seed is negative, or the inner rule remembers earlier steps, or a rule must
            know which row is which.
    """

    minimum = "what both rules need, in m buckets of floor(n / m) rows"
    breakdown = "the product of both rules'; that of the mean of k rows counts as 1/k"
    cost = "O(n d) and both rules on their rows"
    paper = "Rajput et al., NeurIPS 2019, section 3"

    def __init__(
        self, num_corrupted: int | None = None, *, num_buckets: int = 2, inner: str = "median", outer: str = "mean", seed: int = 0
    ) -> None:
        super().__init__(num_corrupted, seed=seed)
        self.buckets = Buckets(number=num_buckets)
        self.num_buckets = num_buckets
        self.inner = rule_for_buckets(inner, num_corrupted=num_corrupted, seed=seed)
        self.outer = rule_for_buckets(outer, num_corrupted=num_corrupted, seed=seed)
        if self.inner.remembers:
            raise ParameterError(
                f"{type(self.inner).__name__} remembers earlier steps, and each step has other buckets; use another inner rule"
            )
        self.coordinate_wise = self.inner.coordinate_wise and self.outer.coordinate_wise
        self.uses_num_corrupted = self.inner.uses_num_corrupted or self.outer.uses_num_corrupted
        self.robust = self.inner.robust or self.outer.robust
        self.dtypes = tuple(dtype for dtype in self.inner.dtypes if dtype in self.outer.dtypes)

    @property
    def minimum_rows(self) -> int:
        return _least(self._ample_rows, self._suffices)

    @property
    def remembers(self) -> bool:
        return self.outer.remembers

    def check_rows(self, num_rows: int) -> None:
        super().check_rows(num_rows)
        if not self._suffices(num_rows):
            raise TooFewRowsError(
                f"{type(self).__name__} against {self.num_corrupted} corrupted rows needs more than {self.num_buckets} buckets, "
                f"of which {self._shares(num_rows)[1]} may be corrupted"
            )

    def for_step(self, step: int) -> Self:
        return super().for_step(step)._replaced(inner=self.inner.for_step(step), outer=self.outer.for_step(step))

    def _combine(self, rows: Matrix) -> Matrix:
        withstood, corrupted = self._shares(len(rows))
        inner, outer = self.inner.against(withstood), self.outer.against(corrupted)
        buckets = self.buckets.split(len(rows), seed=self.seed, step=self.step)

        def combine(block: Matrix) -> Matrix:
            return outer._combine(primitives.stack([inner._combine(block[bucket]) for bucket in buckets]))

        return primitives.column_blocks(rows, combine) if self.coordinate_wise else combine(rows)

    def state_dict(self) -> dict[str, Any]:
        """What the outer rule remembers."""
        return self.outer.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.outer.load_state_dict(state)

    @property
    def _ample_rows(self) -> int:
        """A number of rows with which each bucket withstands all corrupted rows; if it does not suffice, none does."""
        return self.num_buckets * max(1, self.inner.against(self.num_corrupted).minimum_rows)

    def _shares(self, num_rows: int) -> tuple[int, int]:
        """How many corrupted rows the inner rule withstands in each bucket, up to f, and how many buckets may hold more."""
        smallest = num_rows // self.buckets.count(num_rows)
        most = min(self.num_corrupted, smallest) if self.inner.robust else 0
        withstood = _least(most, lambda count: not _tolerates(self.inner, count, smallest)) - 1 if most else 0
        return withstood, self.num_corrupted // (withstood + 1)

    def _suffices(self, num_rows: int) -> bool:
        withstood, corrupted = self._shares(num_rows)
        smallest, count = num_rows // self.buckets.count(num_rows), self.buckets.count(num_rows)
        defended = not corrupted or self.outer.robust or not self.robust
        return defended and _tolerates(self.inner, withstood, smallest) and _tolerates(self.outer, corrupted, count)


def _tolerates(rule: Aggregator, num_corrupted: int, num_rows: int) -> bool:
    try:
        rule.against(num_corrupted).check_rows(num_rows)
    except TooFewRowsError:
        return False
    return True


def _least(most: int, holds: Callable[[int], bool]) -> int:
    """The least number from 1 to `most` for which `holds`, which holds for all greater ones, too; `most` + 1 if it never does."""
    low, high = 1, most + 1
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle + 1, high)
    return low
