"""The few operations that touch all n d values; every rule is made of these and of arithmetic on n x n numbers.

Each takes rows [n, d] as a numpy array or as a torch tensor, and gives back the same kind; what is of size n or n x n is a numpy
array of float64 in either case. numba and torch are imported at the first call that needs them.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol, cast

import numpy as np

from byzshield.aggregation.kernels.threads import over_columns
from byzshield.aggregation.matrix import Matrix, NonFiniteFound
from byzshield.arrays import Float64

__all__ = [
    "column_blocks",
    "distances_to",
    "gram",
    "mean",
    "mean_of",
    "median",
    "mix",
    "nearest_mean",
    "norms",
    "row",
    "squared_distances",
    "trimmed_mean",
    "zeros_like_row",
]


BLOCK = 1 << 16  # columns
MEAN_BLOCK = 1 << 14  # columns; their sums in float64 stay in cache


class _Backend(Protocol):
    """What `kernels.cpu` and `kernels.torch_device` have in common."""

    def combine(
        self, rows: Matrix, *, center: str, trim: int = 0, kept: int | None = None, index: Sequence[int] | None = None
    ) -> Matrix: ...
    def squared_distances(self, rows: Matrix) -> Float64: ...
    def gram(self, rows: Matrix, center: Matrix) -> Float64: ...
    def norms(self, rows: Matrix, center: Matrix) -> Float64: ...
    def mix(self, rows: Matrix, weights: Float64, divisors: Float64) -> Matrix: ...


def median(rows: Matrix, *, index: Sequence[int] | None = None) -> Matrix:
    """Median of each column, over the rows `index`; with an even count the mean of the two middle values. [d]."""
    return _backend(rows).combine(rows, center="median", index=index)


def trimmed_mean(rows: Matrix, trim: int) -> Matrix:
    """Mean of each column without its `trim` least and `trim` greatest values. [d]."""
    return _backend(rows).combine(rows, center="trimmed", trim=trim)


def nearest_mean(rows: Matrix, kept: int, *, trim: int | None = None, index: Sequence[int] | None = None) -> Matrix:
    """Mean of the `kept` values of each column that are nearest to its center. [d].

    Args:
        rows: [n, d].
        kept: how many values are averaged; on a tie the lesser value goes first.
        trim: None: the center is the median; otherwise the mean without the `trim` least and greatest values.
        index: the rows that take part; all by default.
    """
    center = "median" if trim is None else "trimmed"
    return _backend(rows).combine(rows, center=center, trim=trim or 0, kept=kept, index=index)


def squared_distances(rows: Matrix) -> Float64:
    """Squared Euclidean distances of all pairs of rows, [n, n], in a unit of length that is a power of two.

    The unit is 1 unless float64 values are so large or small that their squares would overflow or vanish.
    """
    return _backend(rows).squared_distances(rows)


def gram(rows: Matrix, center: Matrix) -> Float64:
    """Inner products of the rows less `center` [d], [n, n], in the unit of `squared_distances`."""
    return _backend(rows).gram(rows, center)


def distances_to(rows: Matrix, center: Matrix) -> Float64:
    """Euclidean distance of each row from `center` [d], [n]."""
    return _backend(rows).norms(rows, center)


def norms(rows: Matrix) -> Float64:
    """Euclidean norm of each row, [n]."""
    return distances_to(rows, zeros_like_row(rows))


def zeros_like_row(rows: Matrix) -> Matrix:
    """A row [d] of zeros, of the kind of `rows`."""
    if _on_host(rows):
        return np.zeros(rows.shape[1], rows.dtype)
    import torch

    return cast(Matrix, torch.zeros(rows.shape[1], dtype=cast(Any, rows).dtype, device=cast(Any, rows).device))


def mix(rows: Matrix, weights: Float64, divisors: Float64 | None = None) -> Matrix:
    """weights [m, n] times rows [n, d], each line over its divisor [m] (1 by default). [m, d]."""
    return _backend(rows).mix(rows, weights, np.ones(len(weights)) if divisors is None else divisors)


def mean_of(rows: Matrix, index: Sequence[int]) -> Matrix:
    """Mean of the rows at the positions `index`. [d]."""
    weights = np.zeros((1, len(rows)))
    weights[0, list(index)] = 1.0
    mean: Matrix = mix(rows, weights, np.array([float(len(index))]))[0]
    return mean


def row(rows: Matrix, position: int) -> Matrix:
    """A copy of one row. [d]."""
    return cast(Matrix, rows[position].copy() if _on_host(rows) else cast(Any, rows)[position].clone())


def mean(rows: Matrix) -> Matrix:
    """Mean of all rows, [d], summed in float64; needs no compiled code."""
    n = len(rows)
    if not _on_host(rows):
        average = mean_of(rows, range(n))
        if not bool(cast(Any, average).isfinite().all()):
            raise NonFiniteFound
        return average
    out = np.empty(rows.shape[1], rows.dtype)

    def piece(first: int, last: int) -> None:
        for start in range(first, last, MEAN_BLOCK):
            stop = min(start + MEAN_BLOCK, last)
            out[start:stop] = _block_mean(rows[:, start:stop])

    over_columns(piece, num_rows=n, start=0, stop=len(out), unit=MEAN_BLOCK)
    return out


def _block_mean(block: Matrix) -> Float64:
    # Row by row: numpy's own sum over an axis adds in an order that depends on the block's shape.
    with np.errstate(over="ignore", invalid="ignore"):
        total: Float64 = block[0].astype(np.float64)
        for values in block[1:]:
            total += values
        total /= len(block)
        wrong = ~np.isfinite(total)
        if wrong.any():  # the sum of float64 values overflowed: divide first
            total[wrong] = (block[:, wrong] / len(block)).sum(axis=0)
            if not np.isfinite(total).all():
                raise NonFiniteFound
    return total


def column_blocks(rows: Matrix, combine: Callable[[Matrix], Matrix]) -> Matrix:
    """Applies `combine` ([n, w] to [w]) to blocks of columns, for rules whose columns are independent. [d]."""
    out = zeros_like_row(rows)
    for start in range(0, rows.shape[1], BLOCK):
        out[start : start + BLOCK] = combine(rows[:, start : start + BLOCK])
    return out


def _on_host(rows: Matrix) -> bool:
    return isinstance(rows, np.ndarray)


def _backend(rows: Matrix) -> "_Backend":
    if _on_host(rows):
        from byzshield.aggregation.kernels import cpu

        return cast(_Backend, cpu)
    from byzshield.aggregation.kernels import torch_device

    return cast(_Backend, torch_device)
