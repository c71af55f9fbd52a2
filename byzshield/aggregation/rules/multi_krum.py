"""Multi-Krum: the mean of the rows with the best Krum scores."""

import numpy as np

from byzshield.aggregation import primitives
from byzshield.aggregation.contract import AGGREGATORS, DistanceAggregator, Matrix
from byzshield.aggregation.rules.krum import krum_scores
from byzshield.arrays import Float64
from byzshield.errors import ParameterError

__all__ = ["MultiKrum"]


@AGGREGATORS.register("multi_krum")
class MultiKrum(DistanceAggregator):
    """Mean of the `num_selected` rows with the least Krum scores, all scored once; the first ones on a tie.

    Reference: Blanchard et al., "Machine Learning with Adversaries: Byzantine Tolerant Gradient Descent", NeurIPS 2017,
    section 5. The default n - f - 2 is that of DETOX and ByzShield; other libraries take n - f.

    Args:
        num_corrupted: f.
        num_selected: m, how many rows are averaged; n - f - 2 by default.

    Raises:
        ParameterError: num_selected is less than 1.
    """

    minimum = "n >= 2f + 3"
    breakdown = "1/2 (n > 2f + 2)"
    cost = "O(n^2 d)"
    paper = "Blanchard et al., NeurIPS 2017, section 5"

    def __init__(self, num_corrupted: int | None = None, *, num_selected: int | None = None) -> None:
        super().__init__(num_corrupted)
        if num_selected is not None and num_selected < 1:
            raise ParameterError(f"num_selected must be at least 1; got {num_selected}")
        self.num_selected = num_selected

    @property
    def minimum_rows(self) -> int:
        return max(2 * self.num_corrupted + 3, self.num_selected or 0)

    def combine_given(self, rows: Matrix, distances: Float64) -> Matrix:
        selected = self.num_selected or len(rows) - self.num_corrupted - 2
        scores = krum_scores(distances, self.num_corrupted)
        return primitives.mean_of(rows, np.argsort(scores, kind="stable")[:selected].tolist())
