"""The median, the trimmed mean and the mean of the nearest values of each column, compiled; see `sums` for the manner."""

import numpy as np

from byzshield.aggregation.kernels.sums import Array
from byzshield.compilation import compiled

__all__ = ["TILE", "combine"]

AHEAD = 4096  # columns that are fetched into the second-level cache at once
LINE = 64  # bytes of a cache line
TILE = 128  # columns; 60 float32 rows of a tile fit in a first-level cache of 32 KiB


@compiled
def combine(
    flat: Array, offsets: Array, start: int, stop: int, network: Array, median: bool, trim: int, kept: int, out: Array
) -> bool:
    """Combines each column of [start, stop) into `out`; returns False on the first value that is not finite.

    Args:
        flat: the matrix as one array.
        offsets: [n], where each row starts in `flat`.
        start: first column.
        stop: one past the last column.
        network: `sorting_networks`, for all ranks that the result depends on.
        median: the center of a column is its median; otherwise its trimmed mean.
        trim: values that a trimmed mean drops at either end.
        kept: how many values about the center are averaged; 0 for the center itself.
        out: [d], written at [start, stop).
    """
    n = len(offsets)
    tile = np.zeros((n + 1, TILE), flat.dtype)  # the last row stays 0
    center = np.zeros(TILE, np.float64)
    total = np.zeros(TILE, np.float64)
    for first in range(start, stop, TILE):
        width = min(TILE, stop - first)
        if (first - start) % AHEAD == 0 and not _fetch(flat, offsets, first, min(AHEAD, stop - first)):
            return False
        if not _load(flat, offsets, first, width, tile):
            return False
        for step in range(len(network)):
            low = tile[network[step, 0]]
            high = tile[network[step, 1]]
            for c in range(TILE):  # becomes one instruction each for minimum and maximum of many columns
                a = low[c]
                b = high[c]
                low[c] = b if b < a else a
                high[c] = a if b < a else b
        if median:
            low = tile[(n - 1) // 2]
            high = tile[n // 2]
            for c in range(TILE):
                x = np.float64(low[c])
                y = np.float64(high[c])
                # Halving first would lose the last bit of a denormal; adding first may overflow.
                both = x + y + 0.0  # the order of the rows decides which of two zeros comes first: make every zero positive
                center[c] = both * 0.5 if abs(both) < np.inf else x * 0.5 + y * 0.5
        else:
            _trimmed_mean(tile, trim, n - trim, center)
        result = center
        if kept:
            _nearest_mean(tile, kept, center, total)
            result = total
        target = out[first : first + width]
        for c in range(width):
            target[c] = result[c]
    return True


@compiled
def _fetch(flat: Array, offsets: Array, first: int, width: int) -> bool:
    # Reads one value of each cache line, row by row, which brings the columns into the second-level cache: memory is faster for
    # such long runs than for the short ones of the tiles. The result uses all that was read, lest the compiler leave it out.
    greatest = flat.dtype.type(0)
    for row in range(len(offsets)):
        values = flat[offsets[row] + first : offsets[row] + first + width]
        for c in range(0, width, LINE // flat.itemsize):
            greatest = max(greatest, abs(values[c]))
    return bool(greatest < np.inf)


@compiled
def _load(flat: Array, offsets: Array, first: int, width: int, tile: Array) -> bool:
    # Copies columns to the tile; returns False if a value is not finite.
    nothing = flat.dtype.type(0)
    wrong = 0
    for row in range(len(offsets)):
        source = flat[offsets[row] + first : offsets[row] + first + width]
        target = tile[row]
        for c in range(width):
            value = source[c]
            target[c] = value
            wrong |= value * nothing != nothing  # a product of 0 is 0 unless the other factor is a NaN or an infinity
    return wrong == 0


@compiled
def _sum(tile: Array, first: int, last: int, total: Array) -> None:
    # The sum of the rows from `first` to before `last`, added in turn; the last row of the tile is 0.
    zero = len(tile) - 1
    total[:] = 0.0
    for row in range(first, last, 8):  # eight at a time, so that the total is not loaded and stored for each
        a = tile[row]
        b = tile[row + 1 if row + 1 < last else zero]
        c = tile[row + 2 if row + 2 < last else zero]
        d = tile[row + 3 if row + 3 < last else zero]
        e = tile[row + 4 if row + 4 < last else zero]
        f = tile[row + 5 if row + 5 < last else zero]
        g = tile[row + 6 if row + 6 < last else zero]
        h = tile[row + 7 if row + 7 < last else zero]
        for i in range(TILE):
            total[i] = total[i] + a[i] + b[i] + c[i] + d[i] + e[i] + f[i] + g[i] + h[i]


@compiled
def _trimmed_mean(tile: Array, first: int, last: int, mean: Array) -> None:
    _sum(tile, first, last, mean)
    kept = last - first
    low = tile[first]
    high = tile[last - 1]
    for c in range(TILE):
        value = mean[c] / kept
        # Rounding must not move the mean out of the range of its values (an overflow is corrected below).
        value = low[c] if value < low[c] else value
        mean[c] = high[c] if value > high[c] else value
    if tile.itemsize == 8:  # a sum of float64 values may overflow; of float32 values it cannot
        for c in range(TILE):
            if abs(mean[c]) > 1e300:
                mean[c] = 0.0
                for row in range(first, last):
                    mean[c] += tile[row, c] / kept
                mean[c] = min(max(mean[c], low[c]), high[c])


@compiled
def _nearest_mean(tile: Array, kept: int, center: Array, mean: Array) -> None:
    # The `kept` values nearest to the center are neighbors in sorted order, so just one of each `kept`-th is among them: of two
    # of these the upper one if it is nearer (on a tie the lower). Those that are alone in this are all among them.
    n = len(tile) - 1
    _sum(tile, n - kept, kept, mean)
    chosen = np.empty(TILE, tile.dtype)
    for rank in range(min(kept, n - kept)):
        for c in range(TILE):  # a copy of slices takes a second to compile
            chosen[c] = tile[rank, c]
        for row in range(rank + kept, n, kept):
            below = tile[row - kept]
            above = tile[row]
            for c in range(TILE):
                chosen[c] = above[c] if 0.5 * below[c] + 0.5 * above[c] < center[c] else chosen[c]
        for c in range(TILE):
            mean[c] += chosen[c]
    for c in range(TILE):
        mean[c] /= kept
    if tile.itemsize == 8:
        for c in range(TILE):
            if not abs(mean[c]) < np.inf:
                mean[c] = _careful_nearest_mean(tile[:n, c], kept, center[c])


@compiled
def _careful_nearest_mean(values: Array, kept: int, center: float) -> float:
    # As above for one column whose sum overflows: divide before adding.
    first = 0
    while first < len(values) - kept and 0.5 * values[first] + 0.5 * values[first + kept] < center:
        first += 1
    mean = 0.0
    for rank in range(first, first + kept):
        mean += values[rank] / kept
    return mean
