"""Krum's scores of honest rows and of copies of one forged row, by arithmetic on their distances alone."""

import numpy as np

from byzshield.aggregation import primitives
from byzshield.aggregation.matrix import Matrix
from byzshield.aggregation.rules.krum import krum_scores
from byzshield.arrays import Float64

__all__ = ["KrumTrial"]


class KrumTrial:
    """Tries out what Krum and multi-Krum pick, without a row of what is tried.

    Args:
        rows: [m, d], finite.
        honest: the positions of those h of them that the server gets as they are.
        num_forged: f, copies of the forged row beside these.
    """

    def __init__(self, rows: Matrix, honest: list[int], num_forged: int) -> None:
        self.distances: Float64 = primitives.squared_distances(rows)[np.ix_(honest, honest)]
        """Squared, among the honest rows, [h, h]."""
        self._num_honest, self._num_forged = len(honest), num_forged
        self._all = np.zeros((len(honest) + num_forged,) * 2)
        self._all[: len(honest), : len(honest)] = self.distances

    def best(self, count: int, across: Float64) -> int:
        """How many of the `count` rows with the least scores are forged; on a tie the honest ones come first.

        Args:
            count: of h + f rows.
            across: squared distances of the honest rows from the forged one, [h].
        """
        h = self._num_honest
        self._all[:h, h:], self._all[h:, :h] = across[:, None], across
        order = np.argsort(krum_scores(self._all, self._num_forged), kind="stable")
        return int(np.count_nonzero(order[:count] >= h))
