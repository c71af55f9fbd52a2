"""The primitives for numpy arrays: they cut the columns into pieces and run the compiled loops over them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from byzshield.aggregation.kernels import compiled, order_statistics
from byzshield.aggregation.kernels.sorting_networks import selection_network, sorting_network
from byzshield.aggregation.kernels.threads import over_columns
from byzshield.aggregation.matrix import NonFiniteFound
from byzshield.arrays import Float64

__all__ = ["PANEL", "combine", "gram", "mix", "norms", "panel_distances", "scale_of", "squared_distances", "symmetric"]

Matrix = NDArray[Any]

PANEL = 1 << 17  # columns whose squares are summed by themselves, so that blocks may arrive in any order
COMFORTABLE = 2.0**400  # below it no sum of squares of float64 values overflows; above its inverse none underflows


def _flat(rows: Matrix) -> tuple[Matrix, NDArray[np.int64]]:
    """The memory of `rows` [n, d] as one read-only array, and where each row starts in it; copies only odd layouts."""
    n, d = rows.shape
    if (d > 1 and rows.strides[1] != rows.itemsize) or rows.strides[0] < d * rows.itemsize or rows.strides[0] % rows.itemsize:
        rows = np.ascontiguousarray(rows)
    step = rows.strides[0] // rows.itemsize if n > 1 else d
    length = (n - 1) * step + d
    flat = np.lib.stride_tricks.as_strided(rows, shape=(length,), strides=(rows.itemsize,), writeable=False)
    return flat, np.arange(n, dtype=np.int64) * step


def _read_only(vector: Matrix) -> Matrix:
    view = np.ascontiguousarray(vector).view()
    view.flags.writeable = False
    return view


def combine(rows: Matrix, *, center: str, trim: int = 0, kept: int | None = None, index: Sequence[int] | None = None) -> Matrix:
    """The center of each column ("median" or "trimmed"), or the mean of the `kept` values nearest to it; [d].

    Memory above the input: the result and a tile a thread.
    """
    flat, offsets = _flat(rows)
    if index is not None:
        offsets = offsets[np.asarray(index, dtype=np.int64)]
    n = len(offsets)
    middle = ((n - 1) // 2, n // 2)
    network = selection_network(n, middle) if center == "median" and kept is None else sorting_network(n)
    out = np.empty(rows.shape[1], rows.dtype)

    def piece(start: int, stop: int) -> None:
        if not order_statistics.combine(flat, offsets, start, stop, network, center == "median", trim, kept or 0, out):
            raise NonFiniteFound

    over_columns(piece, num_rows=n, start=0, stop=rows.shape[1], unit=order_statistics.TILE)
    return out


def scale_of(*arrays: Matrix) -> float:
    """A power of two by which float64 values must be multiplied before squaring, so that squares neither overflow nor vanish."""
    if arrays[0].dtype != np.float64 or arrays[0].size == 0:
        return 1.0
    largest = max(max(float(values.max()), -float(values.min())) for values in arrays)
    if largest == 0.0 or not np.isfinite(largest) or 1 / COMFORTABLE < largest < COMFORTABLE:
        return 1.0
    return float(2.0 ** min(1000, -int(np.frexp(largest)[1])))


def panel_distances(rows: Matrix, start: int, stop: int, factor: float) -> Float64:
    """The upper triangle of the squared distances over one panel of columns; 0 elsewhere. [n, n]."""
    flat, offsets = _flat(rows)
    out = np.zeros((len(rows), len(rows)))
    compiled.distances(flat, offsets, start, stop, factor, out)
    return out


def squared_distances(rows: Matrix) -> Float64:
    """Squared distances of all pairs, [n, n], times `scale_of(rows)` squared: direct differences, summed in float64."""
    n, d = rows.shape
    flat, offsets = _flat(rows)
    factor = scale_of(rows)
    panels = np.zeros((max(1, -(-d // PANEL)), n, n))

    def piece(start: int, stop: int) -> None:
        for first in range(start, stop, PANEL):
            compiled.distances(flat, offsets, first, min(first + PANEL, stop), factor, panels[first // PANEL])

    over_columns(piece, num_rows=n, start=0, stop=d, unit=PANEL)
    return symmetric(panels)


def symmetric(panels: Float64) -> Float64:
    """Adds the panels [p, n, n] in their order and mirrors the upper triangle.

    Raises:
        NonFiniteFound: a row holds a NaN or an infinity.
    """
    total = np.zeros(panels.shape[1:])
    for panel in panels:
        total += panel
    return _checked(total + np.triu(total, 1).T)


def gram(rows: Matrix, center: Matrix) -> Float64:
    """Inner products of all rows less `center` [d], [n, n], times `scale_of(rows)` squared, summed in float64."""
    n, d = rows.shape
    flat, offsets = _flat(rows)
    origin = _read_only(center)
    factor = scale_of(rows, center)
    panels = np.zeros((max(1, -(-d // PANEL)), n, n))

    def piece(start: int, stop: int) -> None:
        for first in range(start, stop, PANEL):
            compiled.products(flat, offsets, origin, first, min(first + PANEL, stop), factor, panels[first // PANEL])

    over_columns(piece, num_rows=n, start=0, stop=d, unit=PANEL)
    return symmetric(panels)


def norms(rows: Matrix, center: Matrix) -> Float64:
    """Euclidean distance of each row from `center` [d], [n]."""
    n, d = rows.shape
    flat, offsets = _flat(rows)
    origin = _read_only(center)
    factor = scale_of(rows, center)
    panels = np.zeros((max(1, -(-d // PANEL)), n))

    def piece(start: int, stop: int) -> None:
        for first in range(start, stop, PANEL):
            compiled.norms(flat, offsets, origin, first, min(first + PANEL, stop), factor, panels[first // PANEL])

    over_columns(piece, num_rows=n, start=0, stop=d, unit=PANEL)
    total = np.zeros(n)
    for panel in panels:
        total += panel
    with np.errstate(over="ignore"):  # a norm beyond the range of float64 counts as the end of the range
        return np.minimum(_checked(np.sqrt(total)) / factor, np.finfo(np.float64).max)


def _checked(values: Float64) -> Float64:
    if not np.isfinite(values).all():
        raise NonFiniteFound
    return values


def mix(rows: Matrix, weights: Float64, divisors: Float64) -> Matrix:
    """weights [m, n] times rows [n, d], each line over its divisor [m]; never more than the result [m, d] in memory."""
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
    out = np.empty((m, d), rows.dtype)

    def run(amounts: Float64, divisors: Float64) -> None:
        def piece(start: int, stop: int) -> None:
            compiled.mix(flat, offsets, used, chosen, amounts, divisors, start, stop, out)

        over_columns(piece, num_rows=m * chosen.shape[1], start=0, stop=d, unit=compiled.TILE)

    run(amounts, divisors)
    if rows.dtype == np.float64 and not np.isfinite(out).all():
        run(amounts / divisors[:, None], np.ones(m))  # the sum overflowed: divide first
    return out
