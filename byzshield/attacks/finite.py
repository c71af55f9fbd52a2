"""Known gradients without those that no rule would see."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from byzshield.aggregation.matrix import keep_rows, non_finite_rows
from byzshield.arrays import Float32, Float64

__all__ = ["finite_rows", "mean_of_finite"]


def finite_rows(gradients: NDArray[Any], corrupted: Sequence[int]) -> tuple[NDArray[Any], list[int]]:
    """The rows without a NaN or an infinity, and which of them the server gets unforged.

    Args:
        gradients: [n, d].
        corrupted: the positions of the rows that are forged.

    Returns:
        [m, d], copied only if a row is missing, and the positions in it of those that are honest, ascending.
    """
    dropped = non_finite_rows(gradients)
    kept = [row for row in range(len(gradients)) if row not in dropped]
    honest = [place for place, row in enumerate(kept) if row not in corrupted]
    return (keep_rows(gradients, dropped) if dropped else gradients), honest


def mean_of_finite(gradients: Float32) -> Float64:
    """The mean of the rows of [n, d] that are finite, [d]; 0 where none is. One that lasts in a memory would spoil all steps."""
    rows, _ = finite_rows(gradients, ())
    return np.asarray(rows.mean(axis=0, dtype=np.float64)) if len(rows) else np.zeros(gradients.shape[1])
