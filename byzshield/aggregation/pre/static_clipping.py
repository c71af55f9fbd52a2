"""Clipping to a fixed norm."""

import numpy as np

from byzshield.aggregation import primitives
from byzshield.aggregation.contract import PRE_AGGREGATORS, PreAggregator
from byzshield.aggregation.matrix import Matrix
from byzshield.arrays import Float64
from byzshield.errors import ParameterError

__all__ = ["StaticClipping", "clip"]


def clip(rows: Matrix, norms: Float64, limit: float, *, in_place: bool = False) -> Matrix:
    """Scales the rows [n, d] whose norms [n] exceed `limit` down to it; [n, d], in place of the rows if that is allowed."""
    factors = np.ones(len(rows))
    longer = norms > limit
    factors[longer] = limit / norms[longer]
    return primitives.mix(rows, np.diag(factors), in_place=in_place)


@PRE_AGGREGATORS.register("static_clipping")
class StaticClipping(PreAggregator):
    """Scales rows longer than `max_norm` down to that Euclidean norm.

    Reference: Allouah et al., "The Vital Role of Gradient Clipping in Byzantine-Resilient Distributed Learning", 2024, section 2
    (static clipping).

    Args:
        num_corrupted: f; it has no influence here.
        max_norm: c, in the unit of the rows.

    Raises:
        ParameterError: max_norm is not a positive number.
    """

    uses_num_corrupted = False
    minimum = "n >= 1"
    breakdown = "that of the rule"
    cost = "O(n d)"
    paper = "Allouah et al., 2024, arXiv:2405.14432, section 2"
    works_in_place = True
    finds_non_finite = True

    def __init__(self, num_corrupted: int | None = None, *, max_norm: float = 1.0) -> None:
        super().__init__(num_corrupted)
        if not 0 < max_norm < np.inf:
            raise ParameterError(f"max_norm must be a positive number; got {max_norm}")
        self.max_norm = max_norm

    @property
    def minimum_rows(self) -> int:
        return 1

    def _transform(self, rows: Matrix) -> Matrix:
        return clip(rows, primitives.norms(rows), self.max_norm, in_place=self.may_overwrite)
