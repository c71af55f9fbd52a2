"""Splits a range of columns over the cores that this process may use."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from byzshield.cores import available_cores

__all__ = ["over_columns"]

INLINE_ELEMENTS = 1 << 20  # below this a thread costs more than it saves
PIECES_PER_THREAD = 4  # so that a core which is busy with something else does not hold up the rest


def over_columns(kernel: Callable[[int, int], None], *, num_rows: int, start: int, stop: int, unit: int) -> None:
    """Calls `kernel(first, last)` on pieces that cover [start, stop), in parallel where that pays.

    Every piece begins at `start` plus a multiple of `unit`, so a kernel that treats units independently gives the same bits for
    every number of threads. Kernels must release the interpreter lock and write to disjoint places.

    Args:
        kernel: works on the columns from `first` to before `last`.
        num_rows: rows, to judge the work.
        start: first column.
        stop: one past the last column.
        unit: columns that must not be split.
    """
    threads = available_cores()
    units = -(-(stop - start) // unit)
    if threads == 1 or units < 2 or num_rows * (stop - start) < INLINE_ELEMENTS:
        kernel(start, stop)
        return
    pieces = min(units, PIECES_PER_THREAD * threads)
    bounds = [min(stop, start + units * piece // pieces * unit) for piece in range(pieces + 1)]
    with ThreadPoolExecutor(min(threads, pieces)) as pool:
        for _ in pool.map(kernel, bounds[:-1], bounds[1:]):
            pass
