"""Adaptive robust clipping."""

import numpy as np

from byzshield.aggregation import primitives
from byzshield.aggregation.contract import PRE_AGGREGATORS, PreAggregator
from byzshield.aggregation.matrix import Matrix
from byzshield.aggregation.pre.static_clipping import clip

__all__ = ["ARC"]


@PRE_AGGREGATORS.register("arc")
class ARC(PreAggregator):
    """Clips the floor(2 (f/n) (n - f)) longest rows to the norm of the next one.

    Unlike a fixed norm it keeps the guarantee of the rule that follows.

    Reference: Allouah, Guerraoui, Gupta, Jellouli, Rizk, Stephan, "The Vital Role of Gradient Clipping in Byzantine-Resilient
    Distributed Learning", 2024, algorithm 2.
    """

    minimum = "n >= 2f + 1"
    breakdown = "1/2"
    cost = "O(n d)"
    paper = "Allouah et al., 2024, arXiv:2405.14432, algorithm 2"
    works_in_place = True
    finds_non_finite = True

    @property
    def minimum_rows(self) -> int:
        return 2 * self.num_corrupted + 1

    def _transform(self, rows: Matrix) -> Matrix:
        n = len(rows)
        norms = primitives.norms(rows)
        clipped = 2 * self.num_corrupted * (n - self.num_corrupted) // n
        return clip(rows, norms, float(np.sort(norms)[n - clipped - 1]), in_place=self.may_overwrite)
