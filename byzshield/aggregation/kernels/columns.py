"""Cuts the columns of a matrix into blocks, and splits them over the cores that this process may use."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

from byzshield.cores import available_cores

__all__ = ["BLOCK", "blocks", "over_columns"]

BLOCK = 1 << 16  # columns
INLINE_ELEMENTS = 1 << 20  # below this a thread costs more than it saves
PIECES_PER_THREAD = 4  # so that a core which is busy with something else does not hold up the rest


def blocks(start: int, stop: int, size: int = BLOCK) -> Iterator[slice]:
    """Slices of `size` columns, the last of which may be smaller, that cover [start, stop)."""
    return (slice(first, min(first + size, stop)) for first in range(start, stop, size))


def over_columns(kernel: Callable[[int, int], None], *, num_rows: int, num_columns: int, unit: int) -> None:
    """Calls `kernel(first, last)` on pieces that cover [0, num_columns), in parallel where that pays.

    Every piece begins at a multiple of `unit`, so a kernel that treats units independently gives the same bits for every number
    of threads. Kernels must release the interpreter lock and write to disjoint places.

    Args:
        kernel: works on the columns from `first` to before `last`.
        num_rows: rows, to judge the work.
        num_columns: d.
        unit: columns that must not be split.
    """
    threads = available_cores()
    units = -(-num_columns // unit)
    if threads == 1 or units < 2 or num_rows * num_columns < INLINE_ELEMENTS:
        kernel(0, num_columns)
        return
    pieces = min(units, PIECES_PER_THREAD * threads)
    bounds = [min(num_columns, units * piece // pieces * unit) for piece in range(pieces + 1)]
    with ThreadPoolExecutor(min(threads, pieces)) as pool:
        for _ in pool.map(kernel, bounds[:-1], bounds[1:]):
            pass
