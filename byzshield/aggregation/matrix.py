"""What the rules accept and what becomes of a non-finite row: the same for every rule, pre-aggregator and pipeline."""

from collections.abc import Callable
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from byzshield.aggregation.kernels.threads import over_columns
from byzshield.errors import ParameterError

__all__ = ["FLOATS", "Matrix", "NonFiniteFound", "keep_rows", "non_finite_rows", "open_matrix"]

Matrix = NDArray[Any]


class NonFiniteFound(Exception):
    """A primitive came upon a NaN or an infinity: a message to whoever called the rule, who drops the row."""


FLOATS = ("float32", "float64")
FINITE_BLOCK = 1 << 16  # columns summed at a time


def open_matrix(
    gradients: Any, *, dtypes: tuple[str, ...] = FLOATS, on_device: bool = True
) -> tuple[Matrix, Callable[[Matrix], Any]]:
    """Takes the caller's matrix apart.

    Args:
        gradients: [n, d], a numpy array or a torch tensor.
        dtypes: the element types that are accepted.
        on_device: whether a tensor on another device than the CPU may stay there; otherwise it is copied to the CPU.

    Returns:
        The rows to work on (a numpy array; a torch tensor only on another device than the CPU; shares memory with the input
        where it can, so it must not be written to), and a function that gives a result the kind and device of the input.

    Raises:
        ParameterError: neither numpy nor torch, not a matrix, or another element type.
    """
    back: Callable[[Matrix], Any] = _same
    rows = gradients
    if not isinstance(gradients, np.ndarray):
        import torch

        if not isinstance(gradients, torch.Tensor):
            raise ParameterError(f"gradients must be a numpy array or a torch tensor; got {type(gradients).__name__}")
        device = gradients.device
        rows = gradients.detach()
        if device.type == "cpu" or not on_device:
            rows = rows.cpu().numpy()

            def back(result: Matrix) -> Any:
                return torch.from_numpy(result).to(device)

    if rows.ndim != 2 or str(rows.dtype).removeprefix("torch.") not in dtypes:
        raise ParameterError(
            f"gradients must be a [n, d] matrix of {' or '.join(dtypes)}; got shape {tuple(rows.shape)}, {rows.dtype}"
        )
    return cast(Matrix, rows), back


def _same(result: Matrix) -> Any:
    return result


def non_finite_rows(rows: Matrix) -> tuple[int, ...]:
    """The positions of the rows of [n, d] that hold a NaN or an infinity. O(n d), one pass at the speed of memory."""
    if not isinstance(rows, np.ndarray):
        return tuple(int(row) for row in (~rows.isfinite().all(dim=1)).nonzero()[:, 0].tolist())
    if rows.dtype.kind != "f":
        return ()
    n, d = rows.shape
    suspects = np.zeros(n, bool)

    def piece(first: int, last: int) -> None:
        with np.errstate(over="ignore", invalid="ignore"):
            for start in range(first, last, FINITE_BLOCK):
                # A sum that is finite has finite terms; one that is not may only have overflowed.
                suspects[~np.isfinite(rows[:, start : min(start + FINITE_BLOCK, last)].sum(axis=1))] = True

    over_columns(piece, num_rows=n, start=0, stop=d, unit=FINITE_BLOCK)
    return tuple(int(row) for row in suspects.nonzero()[0] if not np.isfinite(rows[row]).all())


def keep_rows(rows: Matrix, dropped: tuple[int, ...]) -> Matrix:
    """A copy of `rows` without those at the positions `dropped`."""
    gone = set(dropped)
    return rows[[row for row in range(len(rows)) if row not in gone]]
