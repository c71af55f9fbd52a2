"""Bulyan as the published code of DETOX and ByzShield has it."""

import numpy as np

from byzshield.aggregation import primitives
from byzshield.aggregation.contract import AGGREGATORS, DistanceAggregator, Matrix
from byzshield.aggregation.rules.krum import krum_scores
from byzshield.arrays import Float64

__all__ = ["BulyanByzShield"]


@AGGREGATORS.register("bulyan_byzshield")
class BulyanByzShield(DistanceAggregator):
    """Krum scores pick theta = n - f - 2 rows; each coordinate is the mean of the theta - 2f picked values in the middle.

    Use it to compare with what DETOX and ByzShield published. Three things differ from the paper's rule, which is `Bulyan`: all
    rows are scored once, n - f - 2 of them are picked instead of n - 2f, and of each coordinate the f least and f greatest values
    are left out instead of the 2f that are farthest from the median. Each coordinate lies within the range of the honest rows;
    the paper's tighter bound is proved for its own rule, with n >= 4f + 3.

    The published code does not check n: where theta - 2f is less than 1, it averages the one or two middle values all the same
    (for n = 25 and f = 9 it asks for -4 values and averages 2). Here such sizes are refused.

    Reference: the published code of Rajput et al., "DETOX: A Redundancy-based Framework for Faster and More Robust Gradient
    Aggregation", NeurIPS 2019, and of Konstantinidis, Ramamoorthy, "ByzShield: An Efficient and Robust System for Distributed
    Training", MLSys 2021; after El Mhamdi, Guerraoui, Rouault, ICML 2018.
    """

    minimum = "n >= 3f + 3"
    breakdown = "1/3 (n > 3f + 2)"
    cost = "O(n^2 d)"
    paper = "the code of Konstantinidis, Ramamoorthy, MLSys 2021"

    @property
    def minimum_rows(self) -> int:
        return 3 * self.num_corrupted + 3

    def combine_given(self, rows: Matrix, distances: Float64) -> Matrix:
        scores = krum_scores(distances, self.num_corrupted)
        picked = np.argsort(scores, kind="stable")[: len(scores) - self.num_corrupted - 2].tolist()
        return primitives.trimmed_mean(rows, self.num_corrupted, index=picked)
