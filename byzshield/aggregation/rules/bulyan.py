"""Bulyan: Krum picks the rows one by one, a mean around the median combines them."""

import numpy as np

from byzshield.aggregation import primitives
from byzshield.aggregation.contract import AGGREGATORS, DistanceAggregator, Matrix
from byzshield.aggregation.rules.krum import krum_scores
from byzshield.arrays import Float64

__all__ = ["Bulyan"]


@AGGREGATORS.register("bulyan")
class Bulyan(DistanceAggregator):
    """Krum picks theta = n - 2f rows; each coordinate is the mean of the theta - 2f picked values nearest to their median.

    Krum picks one row at a time and scores the rows that are left anew each time, counting neighbors among them as the paper's
    loop has it; where none is counted any more (the last pick with f = 1) all rows tie and the first is picked. Some libraries
    score only once: that is `BulyanOnePass`. The published code of DETOX and ByzShield picks another number of rows, and averages
    others of them: that is `BulyanByzShield`.

    Reference: El Mhamdi, Guerraoui, Rouault, "The Hidden Vulnerability of Distributed Learning in Byzantium", ICML 2018,
    section 4.
    """

    minimum = "n >= 4f + 3"
    breakdown = "1/4 (n > 4f + 2)"
    cost = "O(n^2 d + n^3 log(n))"
    paper = "El Mhamdi, Guerraoui, Rouault, ICML 2018, section 4"

    @property
    def minimum_rows(self) -> int:
        return 4 * self.num_corrupted + 3

    def combine_given(self, rows: Matrix, distances: Float64) -> Matrix:
        picked = self._pick(distances)
        return primitives.nearest_mean(rows, len(picked) - 2 * self.num_corrupted, index=picked)

    def _pick(self, distances: Float64) -> list[int]:
        left = list(range(len(distances)))
        picked: list[int] = []
        while len(picked) < len(distances) - 2 * self.num_corrupted:
            scores = krum_scores(distances[np.ix_(left, left)], self.num_corrupted)
            picked.append(left.pop(int(scores.argmin())))
        return picked
