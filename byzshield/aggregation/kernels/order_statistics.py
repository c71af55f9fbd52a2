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
        blocks: `sorting_networks.blocks`, for all ranks that the mode needs.
        mode: MEDIAN, TRIMMED, or the mean of the `kept` values nearest to one of them.
        trim: values that a trimmed mean drops at either end.
        kept: values that are averaged about the center.
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
    center = np.zeros(TILE, np.float64)
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
                both = a + b + 0.0  # the order of the rows decides which of two zeros comes first: make every zero positive
                center[c] = both * 0.5 if abs(both) < np.inf else a * 0.5 + b * 0.5
        else:
            _trimmed_mean(tile, trim, n - trim, center)
        result = center
        if mode in (NEAREST_TO_MEDIAN, NEAREST_TO_TRIMMED):
            _nearest_mean(tile, kept, center, total)
            result = total
        target = out[first : first + width]
        for c in range(width):
            target[c] = result[c]
    return True


combine.__qualname__ += FINGERPRINT  # names the file in which the compiled code is kept
combine = compiled(combine)


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
        # Rounding must not carry the mean out of the range of its values (an overflow is mended below).
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
    # of these the upper one if it is nearer (on a tie the lower). Those without a rival are all among them.
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
