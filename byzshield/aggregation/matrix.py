"""What the rules accept and what becomes of a non-finite row: the same for every rule, pre-aggregator and pipeline."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from byzshield.aggregation.kernels.columns import BLOCK, blocks, over_columns
from byzshield.errors import ParameterError

__all__ = ["FLOATS", "M", "Matrix", "NonFiniteFound", "bring", "keep_rows", "move_up", "non_finite_rows", "open_matrix"]

FLOATS = ("float32", "float64")
HALVES = ("float16", "bfloat16")

Matrix = NDArray[Any]
"""A numpy array, or a torch tensor where the rows are on another device than the CPU."""
M = TypeVar("M")
"""The kind of matrix that a caller has: a numpy array or a torch tensor."""


class NonFiniteFound(Exception):
    """A primitive came upon a NaN or an infinity: a message to whoever called the rule, who drops the row."""


def open_matrix(gradients: M | Sequence[M], *, dtypes: tuple[str, ...] = FLOATS) -> tuple[Matrix, Callable[[Matrix], M]]:
    """Takes the caller's matrix apart.

    Args:
        gradients: [n, d], a numpy array or a torch tensor, or a list or tuple of n vectors [d].
        dtypes: the element types that are accepted; with float32 also float16 and bfloat16, which are worked on as float32.

    Returns:
        The rows to work on (a numpy array; a torch tensor only on another device than the CPU; they may share memory with the
        input, so they must not be written to), and a function that gives a result the kind, dtype and device of the input.

    Raises:
        ParameterError: neither numpy nor torch, vectors of different lengths, not a matrix, or another element type.
    """
    given: Any = _stacked(gradients) if isinstance(gradients, list | tuple) else gradients
    name = str(getattr(given, "dtype", "")).removeprefix("torch.")
    half = name in HALVES and "float32" in dtypes
    if isinstance(given, np.ndarray):
        _require_matrix(given, name, half, dtypes)
        if half:
            return given.astype(np.float32), lambda result: cast(M, result.astype(given.dtype))
        return given, lambda result: cast(M, result)
    import torch

    if not isinstance(given, torch.Tensor):
        raise ParameterError(f"gradients must be a numpy array, a torch tensor or a list of vectors; got {type(given).__name__}")
    _require_matrix(given, name, half, dtypes)
    rows = given.detach().float() if half else given.detach()
    on_cpu = rows.device.type == "cpu"

    def back(result: Any) -> M:
        result = torch.from_numpy(result) if on_cpu else result
        return cast(M, result.to(given.dtype) if half else result)

    return cast(Matrix, rows.numpy() if on_cpu else rows), back


def bring(rows: Matrix, device: str) -> tuple[Matrix, Callable[[Matrix], Matrix]]:
    """Brings a numpy array to a device of torch; returns it there, and a function that brings a result back."""
    import torch

    return cast(Matrix, torch.from_numpy(rows).to(device)), lambda result: cast(Any, result).cpu().numpy()


def _stacked(vectors: Sequence[Any]) -> Any:
    """The matrix [n, d] whose rows are the vectors, all of numpy or all of torch."""
    shapes = [tuple(getattr(vector, "shape", ())) for vector in vectors]
    if not vectors or len(set(shapes)) > 1 or len(shapes[0]) != 1 or len({type(vector) for vector in vectors}) > 1:
        raise ParameterError(
            f"a list of gradients must hold vectors [d] of one length and kind; got {len(vectors)}, shapes {sorted(set(shapes))}"
        )
    if isinstance(vectors[0], np.ndarray):
        return np.stack(vectors)
    import torch

    return torch.stack(list(vectors))


def _require_matrix(given: Any, name: str, half: bool, dtypes: tuple[str, ...]) -> None:
    if given.ndim != 2 or not (half or name in dtypes):
        raise ParameterError(
            f"gradients must be a [n, d] matrix of {' or '.join(dtypes)}; got shape {tuple(given.shape)}, {name}"
        )


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


def keep_rows(rows: Matrix, dropped: tuple[int, ...], *, in_place: bool = False) -> Matrix:
    """`rows` without those at the positions `dropped`: a copy, or with `in_place` a part of `rows` that `move_up` has filled."""
    gone = set(dropped)
    kept = [row for row in range(len(rows)) if row not in gone]
    return move_up(rows, kept) if in_place else rows[kept]


def move_up(rows: Matrix, kept: Sequence[int]) -> Matrix:
    """Moves the rows at the positions `kept`, ascending, to the top, over the others; they come back as a part of `rows`.

    So one row that is missing does not cost a copy of all the others.
    """
    for place, row in enumerate(kept):
        if place != row:
            rows[place] = rows[row]
    return rows[: len(kept)]
