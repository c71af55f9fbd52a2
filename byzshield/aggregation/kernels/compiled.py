"""Loops that numba compiles to SIMD code, the only ones of the package; they release the interpreter lock.

Each kernel sees the matrix as one flat array and the positions in it at which its rows start, so that a subset or a block of
columns needs no copy and every memory layout runs the same code. It works tile by tile, small enough for the caches, in float64
inside. Compiled code is kept on disk beside this file (or where NUMBA_CACHE_DIR says).
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

__all__ = [
    "MEDIAN",
    "NEAREST_TO_MEDIAN",
    "NEAREST_TO_TRIMMED",
    "TILE",
    "TRIMMED",
    "combine",
    "distances",
    "mix",
    "norms",
    "products",
]

AHEAD = 4096  # columns that are fetched into the second-level cache at once
DISTANCE_TILE = 512  # columns whose squares are summed before they are added up in float64
TILE = 256  # columns; 25 float32 rows of a tile fit in a first-level cache of 32 KiB
MEDIAN, TRIMMED, NEAREST_TO_MEDIAN, NEAREST_TO_TRIMMED = range(4)

Array = NDArray[Any]
F = TypeVar("F", bound=Callable[..., Any])


def _compiled(function: F, **options: Any) -> F:
    try:
        return cast(F, numba.njit(nogil=True, cache=True, **options)(function))
    except RuntimeError:  # no place to keep the compiled code: compile anew in each process
        return cast(F, numba.njit(nogil=True, **options)(function))


def _reducing(function: F) -> F:
    # A sum may be taken in vector lanes; the order is fixed by the compiled code, so the same machine gives the same bits.
    return _compiled(function, fastmath={"reassoc", "contract"})


@_compiled
def combine(
    flat: Array, offsets: Array, start: int, stop: int, network: Array, mode: int, trim: int, kept: int, out: Array
) -> bool:
    """Combines each column of [start, stop) into `out`, by `mode`; returns False on the first value that is not finite.

    Args:
        flat: the matrix as one array.
        offsets: [n], where each row starts in `flat`.
        start: first column.
        stop: one past the last column.
        network: compare-and-exchange steps, enough for the mode.
        mode: MEDIAN, TRIMMED, or the mean of the `kept` values nearest to one of them.
        trim: values that a trimmed mean drops at either end.
        kept: values that are averaged about the centre.
        out: [d], written at [start, stop).
    """
    n = len(offsets)
    tile = np.zeros((n, TILE), flat.dtype)
    nothing = flat.dtype.type(0)
    check = np.zeros(TILE, flat.dtype)
    centre = np.zeros(TILE, np.float64)
    total = np.zeros(TILE, np.float64)
    for first in range(start, stop, TILE):
        width = min(TILE, stop - first)
        if (first - start) % AHEAD == 0:
            # One value of each cache line, row by row: memory is twice as fast for long runs as for the tiles' short ones.
            length = min(AHEAD, stop - first)
            for row in range(n):
                source = flat[offsets[row] + first : offsets[row] + first + length]
                greatest = source[0]
                for c in range(0, length, 16):
                    greatest = max(greatest, source[c])
                check[0] += greatest * nothing
        for row in range(n):
            source = flat[offsets[row] + first : offsets[row] + first + width]
            target = tile[row]
            for c in range(width):
                target[c] = source[c]
                check[c] += source[c] * nothing  # remains 0 unless the value is a NaN or an infinity
        found = 0
        for c in range(TILE):
            found |= check[c] != nothing
        if found:
            return False
        for step in range(len(network)):
            low = tile[network[step, 0]]
            high = tile[network[step, 1]]
            for c in range(TILE):
                a = low[c]
                b = high[c]
                low[c] = b if b < a else a
                high[c] = a if b < a else b
        if mode in (MEDIAN, NEAREST_TO_MEDIAN):
            low = tile[(n - 1) // 2]
            high = tile[n // 2]
            for c in range(TILE):
                a = np.float64(low[c])
                b = np.float64(high[c])
                # Halving first would lose the last bit of a denormal; adding first may overflow.
                both = a + b
                centre[c] = both * 0.5 if abs(both) < np.inf else a * 0.5 + b * 0.5
        else:
            centre[:] = 0.0
            for row in range(trim, n - trim):
                source = tile[row]
                for c in range(TILE):
                    centre[c] += source[c]
            low = tile[trim]
            high = tile[n - trim - 1]
            for c in range(TILE):
                mean = centre[c] / (n - 2 * trim)
                # Rounding must not carry the mean out of the range of its values (an overflow is mended below).
                mean = low[c] if mean < low[c] else mean
                centre[c] = high[c] if mean > high[c] else mean
            if flat.itemsize == 8:  # a sum of float64 values may overflow; of float32 values it cannot
                for c in range(TILE):
                    if abs(centre[c]) > 1e300:
                        centre[c] = 0.0
                        for row in range(trim, n - trim):
                            centre[c] += tile[row, c] / (n - 2 * trim)
                        centre[c] = min(max(centre[c], low[c]), high[c])
        result = centre
        if mode in (NEAREST_TO_MEDIAN, NEAREST_TO_TRIMMED):
            total[:] = 0.0
            for row in range(n):
                _add_if_kept(tile, row, kept, centre, total)
            for c in range(TILE):
                total[c] /= kept
            if flat.itemsize == 8:
                for c in range(TILE):
                    if not abs(total[c]) < np.inf:
                        total[c] = _careful_nearest_mean(tile[:, c], kept, centre[c])
            result = total
        target = out[first : first + width]
        for c in range(width):
            target[c] = result[c]
    return True


@_compiled
def _add_if_kept(tile: Array, row: int, kept: int, centre: Array, total: Array) -> None:
    # The `kept` values nearest to the centre are neighbours in sorted order. Of the values at ranks k and k + kept just one is
    # among them: the one nearer to the centre (the lesser on a tie).
    dropped = len(tile) - kept
    values = tile[row]
    if dropped <= row < kept:
        for c in range(TILE):
            total[c] += values[c]
    elif row < dropped and row < kept:
        above = tile[row + kept]
        for c in range(TILE):
            nearer = 0.5 * values[c] + 0.5 * above[c] >= centre[c]
            total[c] += values[c] if nearer else 0.0
    elif row >= dropped and row >= kept:
        below = tile[row - kept]
        for c in range(TILE):
            nearer = 0.5 * below[c] + 0.5 * values[c] < centre[c]
            total[c] += values[c] if nearer else 0.0
    else:
        above = tile[row + kept]
        below = tile[row - kept]
        for c in range(TILE):
            nearer = 0.5 * values[c] + 0.5 * above[c] >= centre[c] and 0.5 * below[c] + 0.5 * values[c] < centre[c]
            total[c] += values[c] if nearer else 0.0


@_compiled
def _careful_nearest_mean(values: Array, kept: int, centre: float) -> float:
    # As above for one column whose sum overflows: divide before adding.
    first = 0
    while first < len(values) - kept and 0.5 * values[first] + 0.5 * values[first + kept] < centre:
        first += 1
    mean = 0.0
    for rank in range(first, first + kept):
        mean += values[rank] / kept
    return mean


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
                out[i, j] += _trusted(to_p, x, p)
                if j + 1 < n:
                    out[i, j + 1] += _trusted(to_q, x, q)
                if j + 2 < n:
                    out[i, j + 2] += _trusted(to_r, x, r)
                if j + 3 < n:
                    out[i, j + 3] += _trusted(to_s, x, s)


@_reducing
def _trusted(squared: float, x: Array, y: Array) -> float:
    # The squared distance of a tile of two rows, summed anew in float64 where float32 is at the end of its range.
    if x.itemsize == 8 or 1e-20 < squared < 1e30:
        return np.float64(squared)  # type: ignore[return-value, unused-ignore]
    total = 0.0
    for c in range(len(x)):
        total += (np.float64(x[c]) - np.float64(y[c])) ** 2
    return total


@_reducing
def products(flat: Array, offsets: Array, centre: Array, start: int, stop: int, factor: float, out: Array) -> None:
    """Adds to out[i, j], i <= j, the inner product of rows i and j less `centre` over [start, stop), times factor squared."""
    n = len(offsets)
    tile = np.zeros((n + 3, TILE), np.float64)
    for first in range(start, stop, TILE):
        width = min(TILE, stop - first)
        origin = centre[first : first + width]
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
def norms(flat: Array, offsets: Array, centre: Array, start: int, stop: int, factor: float, out: Array) -> None:
    """Adds to out[i] the squared distance of row i from `centre` over the columns [start, stop), times factor squared."""
    for first in range(start, stop, TILE):
        width = min(TILE, stop - first)
        origin = centre[first : first + width]
        for row in range(len(offsets)):
            source = flat[offsets[row] + first : offsets[row] + first + width]
            total = 0.0
            for c in range(width):
                total += (np.float64(source[c]) * factor - np.float64(origin[c]) * factor) ** 2
            out[row] += total


@_compiled
def mix(
    flat: Array, offsets: Array, used: Array, rows: Array, weights: Array, divisors: Array, start: int, stop: int, out: Array
) -> None:
    """Writes to out[m] the sum of weights[m, k] times row rows[m, k], over divisors[m], for the columns [start, stop).

    Args:
        flat: the matrix as one array.
        offsets: [n], where each row starts in `flat`.
        used: [n], whether a row enters anywhere.
        rows: [m, 4 k], which rows enter each line; those that pad it have weight 0.
        weights: [m, 4 k].
        divisors: [m].
        start: first column.
        stop: one past the last column.
        out: [m, d].
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
        for m in range(len(out)):
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
            target = out[m, first : first + width]
            for c in range(width):
                target[c] = total[c] / divisors[m]
