"""The median, the trimmed mean and the mean of the nearest values of each column, compiled; see `compiled` for the manner."""

import numpy as np

from byzshield.aggregation.kernels.block import FINGERPRINT, TILE, run_block
from byzshield.aggregation.kernels.compiled import Array, compiled

__all__ = ["MEDIAN", "NEAREST_TO_MEDIAN", "NEAREST_TO_TRIMMED", "TILE", "TRIMMED", "combine"]

LINE = 64  # bytes of a cache line
MEDIAN, TRIMMED, NEAREST_TO_MEDIAN, NEAREST_TO_TRIMMED = range(4)


def combine(
    flat: Array, offsets: Array, start: int, stop: int, blocks: Array, mode: int, trim: int, kept: int, out: Array
) -> bool:
    """Combines each column of [start, stop) into `out`, by `mode`; returns False on the first value that is not finite.

    Args:
        flat: the matrix as one array.
        offsets: [n], where each row starts in `flat`.
        start: first column.
        stop: one past the last column.
        blocks: `networks.blocks`, for all ranks that the mode needs.
        mode: MEDIAN, TRIMMED, or the mean of the `kept` values nearest to one of them.
        trim: values that a trimmed mean drops at either end.
        kept: values that are averaged about the centre.
        out: [d], written at [start, stop).
    """
    n = len(offsets)
    memory = np.zeros((n + 1) * TILE + LINE, flat.dtype)
    begin = -np.int64(memory.ctypes.data) % LINE // flat.itemsize
    tile = memory[begin : begin + (n + 1) * TILE].reshape(n + 1, TILE)  # the last row stays 0
    targets = np.int64(tile.ctypes.data) + np.arange(n) * (TILE * flat.itemsize)
    sources = targets.copy()
    nothing = flat.dtype.type(0)
    check = np.zeros(TILE, flat.dtype)
    centre = np.zeros(TILE, np.float64)
    total = np.zeros(TILE, np.float64)
    for first in range(start, stop, TILE):
        width = min(TILE, stop - first)
        for row in range(n):
            if width == TILE:
                sources[row] = np.int64(flat.ctypes.data) + (offsets[row] + first) * flat.itemsize
            else:  # a block takes whole tiles
                sources[row] = targets[row]
                for c in range(width):
                    tile[row, c] = flat[offsets[row] + first + c]
        for block in range(len(blocks)):
            run_block(blocks[block], sources, targets, check)
        found = 0
        for c in range(TILE):
            found |= check[c] != nothing
        if found:
            return False
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
            _trimmed_mean(tile, trim, n - trim, centre)
        result = centre
        if mode in (NEAREST_TO_MEDIAN, NEAREST_TO_TRIMMED):
            total[:] = 0.0
            for row in range(n):
                _add_if_kept(tile[:n], row, kept, centre, total)
            for c in range(TILE):
                total[c] /= kept
            if flat.itemsize == 8:
                for c in range(TILE):
                    if not abs(total[c]) < np.inf:
                        total[c] = _careful_nearest_mean(tile[:n, c], kept, centre[c])
            result = total
        target = out[first : first + width]
        for c in range(width):
            target[c] = result[c]
    return True


combine.__qualname__ += FINGERPRINT
combine = compiled(combine)


@compiled
def _trimmed_mean(tile: Array, first: int, last: int, mean: Array) -> None:
    # The mean of the rows from `first` to before `last`, added in turn; the last row of the tile is 0.
    zero = len(tile) - 1
    kept = last - first
    mean[:] = 0.0
    for row in range(first, last, 8):  # eight at a time, so that the sum is not loaded and stored for each
        a = tile[row]
        b = tile[row + 1 if row + 1 < last else zero]
        c = tile[row + 2 if row + 2 < last else zero]
        d = tile[row + 3 if row + 3 < last else zero]
        e = tile[row + 4 if row + 4 < last else zero]
        f = tile[row + 5 if row + 5 < last else zero]
        g = tile[row + 6 if row + 6 < last else zero]
        h = tile[row + 7 if row + 7 < last else zero]
        for i in range(TILE):
            mean[i] = mean[i] + a[i] + b[i] + c[i] + d[i] + e[i] + f[i] + g[i] + h[i]
    low = tile[first]
    high = tile[last - 1]
    for i in range(TILE):
        value = mean[i] / kept
        # Rounding must not carry the mean out of the range of its values (an overflow is mended below).
        value = low[i] if value < low[i] else value
        mean[i] = high[i] if value > high[i] else value
    if tile.itemsize == 8:  # a sum of float64 values may overflow; of float32 values it cannot
        for i in range(TILE):
            if abs(mean[i]) > 1e300:
                mean[i] = 0.0
                for row in range(first, last):
                    mean[i] += tile[row, i] / kept
                mean[i] = min(max(mean[i], low[i]), high[i])


@compiled
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


@compiled
def _careful_nearest_mean(values: Array, kept: int, centre: float) -> float:
    # As above for one column whose sum overflows: divide before adding.
    first = 0
    while first < len(values) - kept and 0.5 * values[first] + 0.5 * values[first + kept] < centre:
        first += 1
    mean = 0.0
    for rank in range(first, first + kept):
        mean += values[rank] / kept
    return mean
