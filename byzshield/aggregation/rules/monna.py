"""MoNNA: the mean of the rows nearest to a trusted one."""

from collections.abc import Sequence
from typing import Self

import numpy as np

from byzshield.aggregation import primitives
from byzshield.aggregation.contract import AGGREGATORS, Aggregator, Matrix
from byzshield.errors import ParameterError, TooFewRowsError

__all__ = ["MoNNA"]


@AGGREGATORS.register("monna")
class MoNNA(Aggregator):
    """Mean of the n - f rows nearest to a trusted one (which is among them); the first ones on a tie.

    Only for a setting in which one row is known to be honest, for example because the server computed it itself. In a run, rows
    are files; a step whose trusted file has no winner, or a winner that is not finite, is skipped.

    Reference: Farhadkhani et al., "Robust Collaborative Learning with Linear Gradient Overhead", ICML 2023, algorithm 2
    (nearest neighbor averaging).

    Args:
        num_corrupted: f.
        reference: number of the trusted row, counted from 0; of the trusted file in a run.

    Raises:
        ParameterError: reference is negative.
    """

    minimum = "n >= 2f + 1"
    breakdown = "1/2, given an honest reference"
    cost = "O(n d)"
    paper = "Farhadkhani et al., ICML 2023, algorithm 2"
    finds_non_finite = True
    needs_row_identity = True

    def __init__(self, num_corrupted: int | None = None, *, reference: int = 0) -> None:
        super().__init__(num_corrupted)
        if reference < 0:
            raise ParameterError(f"reference must be the number of a row, counted from 0; got {reference}")
        self.reference = reference
        self._position = reference  # among the rows that are there

    @property
    def minimum_rows(self) -> int:
        return max(2 * self.num_corrupted, self._position) + 1

    def for_rows(self, numbers: Sequence[int]) -> Self:
        if self.reference not in numbers:
            raise TooFewRowsError(f"{self._plea}, which is missing")
        return self._replaced(_position=numbers.index(self.reference))

    def without(self, dropped: tuple[int, ...], num_rows: int) -> Self:
        if self._position in dropped:
            raise TooFewRowsError(f"{self._plea}, which is not finite")
        position = self._position - sum(row < self._position for row in dropped)
        return super().without(dropped, num_rows)._replaced(_position=position)

    @property
    def _plea(self) -> str:
        return f"{type(self).__name__} cannot do without its reference, row {self.reference}"

    def _combine(self, rows: Matrix) -> Matrix:
        distances = primitives.distances_to(rows, rows[self._position])
        distances[self._position] = -1.0
        nearest = np.argsort(distances, kind="stable")[: len(rows) - self.num_corrupted]
        return primitives.mean_of(rows, nearest.tolist())
