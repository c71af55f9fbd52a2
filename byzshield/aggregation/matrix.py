"""What the rules accept and what becomes of a non-finite row: the same for every rule, pre-aggregator and pipeline."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from byzshield.aggregation.kernels.columns import BLOCK, blocks, over_columns
from byzshield.errors import ParameterError

__all__ = ["FLOATS", "M", "Matrix", "NonFiniteFound", "keep_rows", "non_finite_rows", "open_matrix"]

FLOATS = ("float32", "float64")

Matrix = NDArray[Any]
"""A numpy array, or a torch tensor where the rows are on another device than the CPU."""
M = TypeVar("M")
"""The kind of matrix that a caller has: a numpy array or a torch tensor."""


class NonFiniteFound(Exception):
    """A primitive came upon a NaN or an infinity: a message to whoever called the rule, who drops the row."""


def open_matrix(gradients: M, *, dtypes: tuple[str, ...] = FLOATS) -> tuple[Matrix, Callable[[Matrix], M]]:
    """Takes the caller's matrix apart.

    Args:
        gradients: [n, d], a numpy array or a torch tensor.
        dtypes: the element types that are accepted.

    Returns:
        The rows to work on (a numpy array; a torch tensor only on another device than the CPU; they share memory with the input,
        so they must not be written to), and a function that gives a result the kind of the input.

    Raises:
        ParameterError: neither numpy nor torch, not a matrix, or another element type.
    """
    rows: Any = gradients
    back: Callable[[Any], Any] = _same
    if not isinstance(gradients, np.ndarray):
        import torch

        if not isinstance(gradients, torch.Tensor):
            raise ParameterError(f"gradients must be a numpy array or a torch tensor; got {type(gradients).__name__}")
        rows = gradients.detach()
        if gradients.device.type == "cpu":
            rows, back = rows.numpy(), torch.from_numpy
    if rows.ndim != 2 or str(rows.dtype).removeprefix("torch.") not in dtypes:
        raise ParameterError(
            f"gradients must be a [n, d] matrix of {' or '.join(dtypes)}; got shape {tuple(rows.shape)}, {rows.dtype}"
        )
    return cast(Matrix, rows), back


def _same(result: Matrix) -> Matrix:
    return result


def non_finite_rows(rows: Matrix) -> tuple[int, ...]:
    """The positions of the rows of [n, d] that hold a NaN or an infinity. O(n d), one pass at the speed of memory."""
    if not isinstance(rows, np.ndarray):
        return tuple(int(row) for row in (~rows.isfinite().all(dim=1)).nonzero()[:, 0].tolist())
    if rows.dtype.kind != "f":
        return ()
    n, d = rows.shape
    suspects = np.zeros(n, bool)

    def piece(start: int, stop: int) -> None:
        with np.errstate(over="ignore", invalid="ignore"):
            for columns in blocks(start, stop):
                # A sum that is finite has finite terms; one that is not may only have overflowed.
                suspects[~np.isfinite(rows[:, columns].sum(axis=1))] = True

    over_columns(piece, num_rows=n, num_columns=d, unit=BLOCK)
    return tuple(int(row) for row in suspects.nonzero()[0] if not np.isfinite(rows[row]).all())


def keep_rows(rows: Matrix, dropped: tuple[int, ...]) -> Matrix:
    """A copy of `rows` without those at the positions `dropped`."""
    gone = set(dropped)
    return rows[[row for row in range(len(rows)) if row not in gone]]
