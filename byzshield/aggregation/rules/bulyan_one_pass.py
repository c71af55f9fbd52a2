"""Bulyan as several libraries have it: the rows are scored only once."""

import numpy as np

from byzshield.aggregation.contract import AGGREGATORS
from byzshield.aggregation.rules.bulyan import Bulyan
from byzshield.aggregation.rules.krum import krum_scores
from byzshield.arrays import Float64

__all__ = ["BulyanOnePass"]


@AGGREGATORS.register("bulyan_one_pass")
class BulyanOnePass(Bulyan):
    """As `Bulyan`, but the theta = n - 2f rows are those with the least Krum scores among all n rows.

    Several libraries have it so; it is not the rule of the paper, which scores anew after each pick, nor that of the published
    code of DETOX and ByzShield, which picks n - f - 2 rows and averages the values in the middle: that is `BulyanByzShield`.
    """

    cost = "O(n^2 d)"
    paper = "a variant of El Mhamdi, Guerraoui, Rouault, ICML 2018"

    def _pick(self, distances: Float64) -> list[int]:
        scores = krum_scores(distances, self.num_corrupted)
        picked: list[int] = np.argsort(scores, kind="stable")[: len(scores) - 2 * self.num_corrupted].tolist()
        return picked
