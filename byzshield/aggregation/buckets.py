"""Random buckets of rows, and the rules that work in them or on what comes out of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from byzshield.aggregation.contract import AGGREGATORS, Aggregator
from byzshield.arrays import Float64
from byzshield.errors import ParameterError
from byzshield.seeding import generator

__all__ = ["Buckets", "rule_for_buckets"]


@dataclass(frozen=True)
class Buckets:
    """How rows are put into buckets: in the order of a seeded permutation, by a size or by a number.

    Args:
        size: rows a bucket; the last one may be smaller.
        number: of buckets, whose sizes differ by one at most; where there are fewer rows, each row is a bucket.

    Raises:
        ParameterError: a value is less than 1.
    """

    size: int | None = None
    number: int | None = None

    def __post_init__(self) -> None:
        for keyword, value in (("bucket_size", self.size), ("num_buckets", self.number)):
            if value is not None and value < 1:
                raise ParameterError(f"{keyword} must be at least 1; got {value}")

    @classmethod
    def of_keywords(cls, bucket_size: int | None, num_buckets: int | None) -> Self:
        """From the keywords of a rule, of which one may be given; 2 rows a bucket without either.

        Raises:
            ParameterError: both are given, or one is less than 1.
        """
        if bucket_size is not None and num_buckets is not None:
            raise ParameterError(f"give bucket_size or num_buckets, not both; got {bucket_size} and {num_buckets}")
        return cls(size=2) if bucket_size is None and num_buckets is None else cls(size=bucket_size, number=num_buckets)

    def count(self, num_rows: int) -> int:
        """How many buckets `num_rows` rows make."""
        return -(-num_rows // self.size) if self.size is not None else min(self.number or 0, num_rows)

    def split(self, num_rows: int, *, seed: int, step: int) -> list[list[int]]:
        """The positions of the rows of each bucket, ascending."""
        order = generator(seed, "aggregation.bucketing", step).permutation(num_rows)
        cuts = self.count(num_rows) if self.size is None else list(range(self.size, num_rows, self.size))
        return [sorted(bucket.tolist()) for bucket in np.array_split(order, cuts)]

    def weights(self, num_rows: int, *, seed: int, step: int) -> tuple[Float64, Float64]:
        """Ones where a row is in a bucket, [m, n], and the sizes of the buckets, [m]: their quotient takes the means."""
        weights = np.zeros((self.count(num_rows), num_rows))
        for line, bucket in zip(weights, self.split(num_rows, seed=seed, step=step), strict=True):
            line[bucket] = 1.0
        return weights, weights.sum(axis=1)


def rule_for_buckets(name: str, *, num_corrupted: int | None, seed: int) -> Aggregator:
    """Makes a rule that another one applies, with its own defaults and, where it draws, the seed of the other.

    Raises:
        ConfigError: there is no such rule.
        ParameterError: the rule must know which row is which, which buckets do not tell.
    """
    keywords: Mapping[str, Any] = {"seed": seed} if "seed" in AGGREGATORS.keywords(name) else {}
    rule = AGGREGATORS.get(name)(num_corrupted=num_corrupted, **keywords)
    if rule.needs_row_identity:
        raise ParameterError(f"{type(rule).__name__} must know which row is which, and buckets shuffle rows; use another rule")
    return rule
