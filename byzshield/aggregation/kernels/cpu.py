"""The primitives for numpy arrays: they cut the columns into pieces and run the compiled loops over them."""

from collections.abc import Callable, Sequence
from threading import Lock
from typing import Any, Final

import numpy as np
from numpy.typing import DTypeLike, NDArray

from byzshield.aggregation.kernels import order_statistics, sums
from byzshield.aggregation.kernels.columns import blocks, over_columns
from byzshield.aggregation.kernels.scaling import squaring_factor
from byzshield.aggregation.kernels.sorting_networks import selection_network, sorting_network
from byzshield.aggregation.matrix import Matrix, NonFiniteFound
from byzshield.arrays import Float64
from byzshield.reuse import Reused

__all__ = ["PANEL", "combine", "gram", "mix", "norms", "squared_distances"]

PANEL = 1 << 17  # columns whose sum is taken by one thread
MOST_VECTORS: Final = 2  # results that are kept for the next: fresh pages cost more than what is written to them
LEAST_KEPT: Final = 1 << 22  # bytes of a result that is worth keeping

_vectors: Reused[NDArray[np.uint8]] = Reused(lambda size: np.empty(size, np.uint8), most=MOST_VECTORS, least=LEAST_KEPT)
_vectors_lock = Lock()


def combine(rows: Matrix, *, center: str, trim: int = 0, kept: int | None = None, index: Sequence[int] | None = None) -> Matrix:
    """The center of each column ("median" or "trimmed"), or the mean of the `kept` values nearest to it; [d].

    Memory above the input: the result and a tile a thread.
    """
    flat, offsets = _flat(rows)
    if index is not None:
        offsets = offsets[np.asarray(index, dtype=np.int64)]
    n, d = len(offsets), rows.shape[1]
    median = center == "median"
    network = selection_network(n, ((n - 1) // 2, n // 2)) if median and kept is None else sorting_network(n)
    out = _vector(d, rows.dtype)

    def piece(start: int, stop: int) -> None:
        if not order_statistics.combine(flat, offsets, start, stop, network, median, trim, kept or 0, out):
            raise NonFiniteFound

    over_columns(piece, num_rows=n, num_columns=d, unit=order_statistics.TILE)
    return out


def squared_distances(rows: Matrix) -> Float64:
    """Squared distances of all pairs, [n, n], up to a power of two: direct differences, summed in float64."""
    flat, offsets = _flat(rows)
    factor = _factor(rows)

    def add(start: int, stop: int, out: Float64) -> None:
        sums.distances(flat, offsets, start, stop, factor, out)

    return _symmetric(_sum_of_panels(rows, (len(rows), len(rows)), add))


def gram(rows: Matrix, center: Matrix) -> Float64:
    """Inner products of all rows less `center` [d], [n, n], up to a power of two, summed in float64."""
    flat, offsets = _flat(rows)
    origin = _read_only(center)
    factor = _factor(rows, center)

    def add(start: int, stop: int, out: Float64) -> None:
        sums.products(flat, offsets, origin, start, stop, factor, out)

    return _symmetric(_sum_of_panels(rows, (len(rows), len(rows)), add))


def norms(rows: Matrix, center: Matrix) -> Float64:
    """Euclidean distance of each row from `center` [d], [n]."""
    flat, offsets = _flat(rows)
    origin = _read_only(center)
    factor = _factor(rows, center)

    def add(start: int, stop: int, out: Float64) -> None:
        sums.norms(flat, offsets, origin, start, stop, factor, out)

    total = _sum_of_panels(rows, (len(rows),), add)
    with np.errstate(over="ignore"):  # a norm beyond the range of float64 counts as the end of the range
        return np.minimum(np.sqrt(total) / factor, np.finfo(np.float64).max)


def mix(rows: Matrix, weights: Float64, divisors: Float64, *, in_place: bool = False) -> Matrix:
    """weights [m, n] times rows [n, d], each line over its divisor [m]; never more than the result [m, d] in memory.

    With `in_place` and m <= n, the lines of float32 take the place of the first rows. Those of float64 do not, since a sum that
    overflows is taken anew.
    """
    flat, offsets = _flat(rows)
    m, d = len(weights), rows.shape[1]
    most = max(1, int((weights != 0).sum(axis=1).max(initial=1)))
    chosen = np.zeros((m, -(-most // 4) * 4), np.int64)
    amounts = np.zeros(chosen.shape)
    used = (weights != 0).any(axis=0)
    for line in range(m):
        (nonzero,) = weights[line].nonzero()
        chosen[line, : len(nonzero)] = nonzero
        amounts[line, : len(nonzero)] = weights[line, nonzero]
    if in_place and m <= len(rows) and rows.dtype == np.float32 and np.shares_memory(flat[:1], rows[:1, :1]):
        out = rows[:m]
    else:
        out = _vector(d, rows.dtype)[None] if m == 1 else np.empty((m, d), rows.dtype)
    lines, places = _flat(out, writeable=True)

    def run(amounts: Float64, divisors: Float64) -> None:
        def piece(start: int, stop: int) -> None:
            sums.mix(flat, offsets, used, chosen, amounts, divisors, start, stop, lines, places)

        over_columns(piece, num_rows=m * chosen.shape[1], num_columns=d, unit=sums.TILE)

    run(amounts, divisors)
    if rows.dtype == np.float64 and not np.isfinite(out).all():
        run(amounts / divisors[:, None], np.ones(m))  # the sum overflowed: divide first
    return out


def _flat(rows: Matrix, *, writeable: bool = False) -> tuple[Matrix, NDArray[np.int64]]:
    """The memory of `rows` [n, d] as one array, and where each row starts in it; copies only odd layouts."""
    n, d = rows.shape
    if (d > 1 and rows.strides[1] != rows.itemsize) or rows.strides[0] < d * rows.itemsize or rows.strides[0] % rows.itemsize:
        rows = np.ascontiguousarray(rows)
    step = rows.strides[0] // rows.itemsize if n > 1 else d
    length = (n - 1) * step + d
    flat = np.lib.stride_tricks.as_strided(rows, shape=(length,), strides=(rows.itemsize,), writeable=writeable)
    return flat, np.arange(n, dtype=np.int64) * step


def _vector(d: int, dtype: DTypeLike) -> NDArray[Any]:
    """[d], which holds anything, in the memory of one that nobody refers to any more."""
    size = d * np.dtype(dtype).itemsize
    with _vectors_lock:
        return _vectors.take(size)[:size].view(dtype)


def _read_only(vector: Matrix) -> Matrix:
    view = np.ascontiguousarray(vector).view()
    view.flags.writeable = False
    return view


def _factor(*arrays: Matrix) -> float:
    if arrays[0].dtype != np.float64 or arrays[0].size == 0:
        return 1.0
    return squaring_factor(max(max(float(values.max()), -float(values.min())) for values in arrays))


def _sum_of_panels(rows: Matrix, shape: tuple[int, ...], add: Callable[[int, int, Float64], None]) -> Float64:
    """The sum of what `add(start, stop, out)` adds to `out` for each panel of columns; the order is always the same.

    Raises:
        NonFiniteFound: the sum is not finite, so a row holds a NaN or an infinity.
    """
    n, d = rows.shape
    panels = np.zeros((max(1, -(-d // PANEL)), *shape))

    def piece(start: int, stop: int) -> None:
        for block in blocks(start, stop, PANEL):
            add(block.start, block.stop, panels[block.start // PANEL])

    over_columns(piece, num_rows=n, num_columns=d, unit=PANEL)
    total = np.zeros(shape)
    for panel in panels:
        total += panel
    if not np.isfinite(total).all():
        raise NonFiniteFound
    return total


def _symmetric(upper: Float64) -> Float64:
    """The matrix [n, n] of which only the upper triangle and the diagonal are filled, the rest being 0."""
    return upper + np.triu(upper, 1).T
