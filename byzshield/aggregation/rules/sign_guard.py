"""SignGuard: the mean of the rows whose norm and signs are like those of most rows."""

import numpy as np

from byzshield.aggregation import primitives
from byzshield.aggregation.clustering import largest_mean_shift_cluster
from byzshield.aggregation.contract import AGGREGATORS, Aggregator, Matrix, SeededOperation
from byzshield.arrays import Float64
from byzshield.errors import ParameterError
from byzshield.seeding import generator

__all__ = ["SignGuard"]


@AGGREGATORS.register("sign_guard")
class SignGuard(SeededOperation, Aggregator):
    """Mean of the rows that pass two filters, each clipped to the median norm.

    A row passes if its norm is between `lower` and `upper` times the median norm, and if its fractions of positive, zero and
    negative signs, over coordinates drawn at random, are in the largest cluster of a mean shift. The paper leaves open what
    happens if no row passes both; then the filter of norms decides alone, and if that is empty too, all rows stay (clipped).

    Reference: Xu, Huang, Song, Lan, "Byzantine-robust Federated Learning through Collaborative Malicious Gradient Filtering",
    ICDCS 2022, algorithm 2 (plain SignGuard).

    Args:
        num_corrupted: f.
        lower: L.
        upper: R.
        fraction: of the coordinates, drawn for the signs.
        seed: of the draws, which are others at each step.

    Raises:
        ParameterError: not 0 <= lower <= 1 <= upper, fraction not in (0, 1], or seed is negative.
    """

    uses_num_corrupted = False
    minimum = "n >= 2f + 1"
    breakdown = "1/2, empirical"
    cost = "O(n d + n^3)"
    paper = "Xu et al., ICDCS 2022, algorithm 2"
    finds_non_finite = True

    def __init__(
        self, num_corrupted: int | None = None, *, lower: float = 0.1, upper: float = 3.0, fraction: float = 0.1, seed: int = 0
    ) -> None:
        super().__init__(num_corrupted, seed=seed)
        if not 0 <= lower <= 1 <= upper or not 0 < fraction <= 1:
            raise ParameterError(f"lower <= 1 <= upper and 0 < fraction <= 1 must hold; got {lower}, {upper} and {fraction}")
        self.lower = lower
        self.upper = upper
        self.fraction = fraction

    @property
    def minimum_rows(self) -> int:
        return 2 * self.num_corrupted + 1

    def _combine(self, rows: Matrix) -> Matrix:
        norms = primitives.norms(rows)
        median = float(np.median(norms))
        by_norm = ((norms >= self.lower * median) & (norms <= self.upper * median)).nonzero()[0].tolist()
        by_sign = set(largest_mean_shift_cluster(self._sign_fractions(rows)))
        passed = [row for row in by_norm if row in by_sign] or by_norm or list(range(len(rows)))
        weights = np.zeros(len(rows))
        weights[passed] = np.where(norms[passed] > median, median / np.maximum(norms[passed], np.finfo(float).tiny), 1.0)
        return primitives.weighted_sum(rows, weights, len(passed))

    def _sign_fractions(self, rows: Matrix) -> Float64:
        d = rows.shape[1]
        count = max(1, int(self.fraction * d))
        draw = generator(self.seed, "aggregation.sign_guard", self.step)
        values = primitives.columns(rows, np.sort(draw.choice(d, size=count, replace=False)))
        fractions: Float64 = np.stack([(values > 0).mean(axis=1), (values == 0).mean(axis=1), (values < 0).mean(axis=1)], axis=1)
        return fractions
