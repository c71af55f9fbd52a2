"""The few operations that touch all n d values; every rule is made of these and of arithmetic on n x n numbers.

Each takes rows [n, d] as a numpy array or as a torch tensor, and gives back the same kind; what is of size n or n x n is a numpy
array of float64 in either case. numba and torch are imported at the first call that needs them.

The median, the means but `mean_of`, the distances, norms and inner products raise `NonFiniteFound` on a NaN or an infinity; the
others do not look.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol, cast

import numpy as np

from byzshield.aggregation.kernels.columns import blocks, over_columns
from byzshield.aggregation.matrix import Matrix, NonFiniteFound
from byzshield.arrays import Float64

__all__ = [
    "as_row",
    "column_blocks",
    "columns",
    "copy",
    "distances_to",
    "gram",
    "mean",
    "mean_of",
    "median",
    "mix",
    "nearest_mean",
    "norms",
    "squared_distances",
    "stack",
    "trimmed_mean",
    "weighted_sum",
    "zeros_like_row",
]

MEAN_BLOCK = 1 << 14  # columns; their sums in float64 stay in cache


class _Backend(Protocol):
    """What `kernels.cpu` and `kernels.torch_device` have in common."""

    def combine(
        self, rows: Matrix, *, center: str, trim: int = 0, kept: int | None = None, index: Sequence[int] | None = None
    ) -> Matrix: ...
    def squared_distances(self, rows: Matrix) -> Float64: ...
    def gram(self, rows: Matrix, center: Matrix) -> Float64: ...
    def norms(self, rows: Matrix, center: Matrix) -> Float64: ...
    def mix(self, rows: Matrix, weights: Float64, divisors: Float64, *, in_place: bool = False) -> Matrix: ...


def median(rows: Matrix, *, index: Sequence[int] | None = None) -> Matrix:
    """Median of each column, over the rows `index`; with an even count the mean of the two middle values. [d]."""
    return _backend(rows).combine(rows, center="median", index=index)


def trimmed_mean(rows: Matrix, trim: int, *, index: Sequence[int] | None = None) -> Matrix:
    """Mean of each column, over the rows `index`, without its `trim` least and `trim` greatest values. [d]."""
    return _backend(rows).combine(rows, center="trimmed", trim=trim, index=index)


def nearest_mean(rows: Matrix, kept: int, *, trim: int | None = None, index: Sequence[int] | None = None) -> Matrix:
    """Mean of the `kept` values of each column that are nearest to its center. [d].

    Args:
        rows: [n, d].
        kept: how many values are averaged; on a tie the lesser value is taken.
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


def mix(rows: Matrix, weights: Float64, divisors: Float64 | None = None, *, in_place: bool = False) -> Matrix:
    """weights [m, n] times rows [n, d], each line over its divisor [m] (1 by default). [m, d].

    Args:
        rows: [n, d].
        weights: [m, n].
        divisors: [m].
        in_place: whether the result may be written over the rows, which saves as much memory where m <= n.
    """
    return _backend(rows).mix(rows, weights, np.ones(len(weights)) if divisors is None else divisors, in_place=in_place)


def weighted_sum(rows: Matrix, weights: Float64, divisor: float = 1.0) -> Matrix:
    """The sum of weights [n] times rows [n, d], over the divisor. [d]."""
    total: Matrix = mix(rows, weights[None], np.array([divisor], dtype=np.float64))[0]
    return total


def mean_of(rows: Matrix, index: Sequence[int]) -> Matrix:
    """Mean of the rows at the positions `index`. [d]."""
    weights = np.zeros(len(rows))
    weights[list(index)] = 1.0
    return weighted_sum(rows, weights, len(index))


def zeros_like_row(rows: Matrix) -> Matrix:
    """A row [d] of zeros, of the kind, dtype and device of `rows`."""
    if isinstance(rows, np.ndarray):
        return np.zeros_like(rows[0])
    import torch

    zeros: Matrix = torch.zeros_like(rows[0])
    return zeros


def as_row(vector: Any, rows: Matrix) -> Matrix:
    """`vector` [d], a numpy array or a tensor anywhere, in the kind, dtype and device of `rows`; copied only if they differ."""
    if isinstance(rows, np.ndarray):
        return np.asarray(vector if isinstance(vector, np.ndarray) else vector.cpu().numpy(), rows.dtype)
    import torch

    row: Matrix = torch.as_tensor(vector, dtype=rows.dtype, device=rows.device)
    return row


def copy(values: Matrix) -> Matrix:
    """A copy of the same kind, dtype and device."""
    return values.copy() if isinstance(values, np.ndarray) else cast(Any, values).clone()


def stack(vectors: Sequence[Matrix]) -> Matrix:
    """Vectors [d] of one kind, dtype and device as the rows of a matrix, [m, d]."""
    if isinstance(vectors[0], np.ndarray):
        return np.stack(vectors)
    import torch

    rows: Matrix = torch.stack(list(vectors))
    return rows


def columns(rows: Matrix, index: Matrix) -> Matrix:
    """A copy of the columns at the positions `index` [k], as a numpy array in either case. [n, k]."""
    if isinstance(rows, np.ndarray):
        return rows.take(index, axis=1)
    import torch

    taken: Matrix = rows[:, torch.as_tensor(index, device=rows.device)].cpu().numpy()
    return taken


def mean(rows: Matrix) -> Matrix:
    """Mean of all rows, [d], summed in float64; needs no compiled code."""
    n, d = rows.shape
    if not isinstance(rows, np.ndarray):
        average: Any = mean_of(rows, range(n))
        if not average.isfinite().all():
            raise NonFiniteFound
        return cast(Matrix, average)
    out = np.empty(d, rows.dtype)

    def piece(start: int, stop: int) -> None:
        for block in blocks(start, stop, MEAN_BLOCK):
            out[block] = _block_mean(rows[:, block])

    over_columns(piece, num_rows=n, num_columns=d, unit=MEAN_BLOCK)
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
    for block in blocks(0, rows.shape[1]):
        out[block] = combine(rows[:, block])
    return out


def _backend(rows: Matrix) -> _Backend:
    if isinstance(rows, np.ndarray):
        from byzshield.aggregation.kernels import cpu

        return cpu
    from byzshield.aggregation.kernels import torch_device

    return cast(_Backend, torch_device)
