"""From the winners of the vote to one update: the non-finite policy, then the rule."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from byzshield.aggregation.aggregator import Aggregator, Matrix
from byzshield.errors import TooFewRowsError

__all__ = ["Aggregate", "Pipeline"]

FINITE_BLOCK = 1 << 18  # elements checked at a time, so that the mask stays in cache


@dataclass(frozen=True, kw_only=True)
class Aggregate:
    """What came out of one step.

    Args:
        vector: [d], or None if too few rows were left and the step is skipped.
        non_finite: the rows (positions in the input) that were dropped for a NaN or an infinity.
        reason: why the step is skipped; empty otherwise.
    """

    vector: Matrix | None
    non_finite: tuple[int, ...]
    reason: str = ""


class Pipeline:
    """Applies the non-finite policy and then a rule.

    A row with a non-finite value never reaches the rule: it is dropped, reported, and `num_corrupted` is lowered by as many.
    A row that is missing (no majority) may have been a corrupted one or an honest one, so it does not lower `num_corrupted`.
    With fewer rows left than the rule needs, the step is skipped, not guessed.

    Args:
        rule: the aggregator.
    """

    def __init__(self, rule: Aggregator) -> None:
        self.rule = rule

    def __call__(self, gradients: Matrix) -> Aggregate:
        """Combines `gradients` [n, d]; returns the vector [d] and what was dropped."""
        non_finite = tuple(row for row, values in enumerate(gradients) if not _is_finite(values))
        if non_finite:
            gradients = np.delete(gradients, non_finite, axis=0)
        rule = self.rule.against(max(0, self.rule.num_corrupted - len(non_finite))) if non_finite else self.rule
        try:
            rule.check_rows(max(len(gradients), 0))
        except TooFewRowsError as error:
            return Aggregate(vector=None, non_finite=non_finite, reason=str(error))
        return Aggregate(vector=rule(gradients), non_finite=non_finite)


def _is_finite(values: Sequence[float] | Matrix) -> bool:
    return all(np.isfinite(values[start : start + FINITE_BLOCK]).all() for start in range(0, len(values), FINITE_BLOCK))
