"""Sums over all columns that numba compiles to SIMD code; they release the interpreter lock.

Each kernel sees the matrix as one flat array and the positions in it at which its rows start, so that a subset or a block of
columns needs no copy and every memory layout runs the same code. It works tile by tile, small enough for the caches, in float64
inside. Compiled code is kept on disk beside this file (or where NUMBA_CACHE_DIR says).
"""

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from byzshield.compilation import compiled

__all__ = ["TILE", "Array", "distances", "mix", "norms", "products"]

DISTANCE_TILE = 512  # columns whose squares are summed before they are added up in float64
TILE = 256  # columns; 16 rows of a tile in float64 fit in a first-level cache of 32 KiB

Array = NDArray[Any]
F = TypeVar("F", bound=Callable[..., Any])


def _reducing(function: F) -> F:
    # A sum may be taken in vector lanes; the order is fixed by the compiled code, so the same machine gives the same bits.
    return compiled(function, fastmath={"reassoc", "contract"})


@_reducing
def distances(flat: Array, offsets: Array, start: int, stop: int, factor: float, out: Array) -> None:
    """Adds to out[i, j], i < j, the squared distance of rows i and j over the columns [start, stop), times factor squared.

    Differences of float32 rows are squared and summed in float32 within a tile, where that neither overflows nor vanishes.
    """
    n = len(offsets)
    tile = np.zeros((n + 3, DISTANCE_TILE), flat.dtype)
    scale = flat.dtype.type(factor)
    for first in range(start, stop, DISTANCE_TILE):
        width = min(DISTANCE_TILE, stop - first)
        for row in range(n):
            source = flat[offsets[row] + first : offsets[row] + first + width]
            target = tile[row]
            for c in range(width):
                target[c] = source[c] * scale
            for c in range(width, DISTANCE_TILE):
                target[c] = 0.0
        for i in range(n):
            x = tile[i]
            for j in range(i + 1, n, 4):
                p = tile[j]
                q = tile[j + 1]
                r = tile[j + 2]
                s = tile[j + 3]
                to_p = flat.dtype.type(0)
                to_q = flat.dtype.type(0)
                to_r = flat.dtype.type(0)
                to_s = flat.dtype.type(0)
                for c in range(DISTANCE_TILE):
                    by_p = x[c] - p[c]
                    by_q = x[c] - q[c]
                    by_r = x[c] - r[c]
                    by_s = x[c] - s[c]
                    to_p += by_p * by_p
                    to_q += by_q * by_q
                    to_r += by_r * by_r
                    to_s += by_s * by_s
                out[i, j] += _accurate(to_p, x, p)
                if j + 1 < n:
                    out[i, j + 1] += _accurate(to_q, x, q)
                if j + 2 < n:
                    out[i, j + 2] += _accurate(to_r, x, r)
                if j + 3 < n:
                    out[i, j + 3] += _accurate(to_s, x, s)


@_reducing
def _accurate(squared: float, x: Array, y: Array) -> float:
    # The squared distance of two rows of a tile, summed anew in float64 where float32 is near the end of its range.
    if x.itemsize == 8 or 1e-20 < squared < 1e30:
        return np.float64(squared)  # type: ignore[return-value, unused-ignore]
    total = 0.0
    for c in range(len(x)):
        total += (np.float64(x[c]) - np.float64(y[c])) ** 2
    return total


@_reducing
def products(flat: Array, offsets: Array, center: Array, start: int, stop: int, factor: float, out: Array) -> None:
    """Adds to out[i, j], i <= j, the inner product of rows i and j less `center` over [start, stop), times factor squared."""
    n = len(offsets)
    tile = np.zeros((n + 3, TILE), np.float64)
    for first in range(start, stop, TILE):
        width = min(TILE, stop - first)
        origin = center[first : first + width]
        for row in range(n):
            source = flat[offsets[row] + first : offsets[row] + first + width]
            target = tile[row]
            for c in range(width):
                target[c] = source[c] * factor - origin[c] * factor
            for c in range(width, TILE):
                target[c] = 0.0
        for i in range(n):
            x = tile[i]
            for j in range(i, n, 4):
                p = tile[j]
                q = tile[j + 1]
                r = tile[j + 2]
                s = tile[j + 3]
                by_p = 0.0
                by_q = 0.0
                by_r = 0.0
                by_s = 0.0
                for c in range(TILE):
                    by_p += x[c] * p[c]
                    by_q += x[c] * q[c]
                    by_r += x[c] * r[c]
                    by_s += x[c] * s[c]
                out[i, j] += by_p
                if j + 1 < n:
                    out[i, j + 1] += by_q
                if j + 2 < n:
                    out[i, j + 2] += by_r
                if j + 3 < n:
                    out[i, j + 3] += by_s


@_reducing
def norms(flat: Array, offsets: Array, center: Array, start: int, stop: int, factor: float, out: Array) -> None:
    """Adds to out[i] the squared distance of row i from `center` over the columns [start, stop), times factor squared."""
    for first in range(start, stop, TILE):
        width = min(TILE, stop - first)
        origin = center[first : first + width]
        for row in range(len(offsets)):
            source = flat[offsets[row] + first : offsets[row] + first + width]
            total = 0.0
            for c in range(width):
                total += (np.float64(source[c]) * factor - np.float64(origin[c]) * factor) ** 2
            out[row] += total


@compiled
def mix(
    flat: Array,
    offsets: Array,
    used: Array,
    rows: Array,
    weights: Array,
    divisors: Array,
    start: int,
    stop: int,
    out: Array,
    places: Array,
) -> None:
    """Writes to line m the sum of weights[m, k] times row rows[m, k], over divisors[m], for the columns [start, stop).

    A tile of all rows is read before a line of it is written, so that the lines may stand where the rows do.

    Args:
        flat: the matrix as one array.
        offsets: [n], where each row starts in `flat`.
        used: [n], whether a row enters anywhere.
        rows: [m, 4 k], which rows enter each line; those that pad it have weight 0.
        weights: [m, 4 k].
        divisors: [m].
        start: first column.
        stop: one past the last column.
        out: the lines as one array.
        places: [m], where each line starts in `out`.
    """
    tile = np.zeros((len(offsets), TILE), np.float64)
    total = np.zeros(TILE, np.float64)
    for first in range(start, stop, TILE):
        width = min(TILE, stop - first)
        for row in range(len(offsets)):
            if used[row]:
                source = flat[offsets[row] + first : offsets[row] + first + width]
                target = tile[row]
                for c in range(width):
                    target[c] = source[c]
        for m in range(len(places)):
            total[:] = 0.0
            for k in range(0, rows.shape[1], 4):
                p = tile[rows[m, k]]
                q = tile[rows[m, k + 1]]
                r = tile[rows[m, k + 2]]
                s = tile[rows[m, k + 3]]
                by_p = weights[m, k]
                by_q = weights[m, k + 1]
                by_r = weights[m, k + 2]
                by_s = weights[m, k + 3]
                for c in range(TILE):
                    total[c] += by_p * p[c] + by_q * q[c] + by_r * r[c] + by_s * s[c]
            target = out[places[m] + first : places[m] + first + width]
            for c in range(width):
                target[c] = total[c] / divisors[m]
