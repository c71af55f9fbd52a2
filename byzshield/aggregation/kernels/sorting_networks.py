"""Sorting networks: fixed lists of compare-and-exchange steps that sort n values without a branch.

Reference: Batcher, "Sorting Networks and Their Applications", AFIPS 1968; Knuth, TAOCP volume 3, algorithm 5.2.2M.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["selection_network", "sorting_network"]


@lru_cache(maxsize=64)
def sorting_network(size: int) -> NDArray[np.int64]:
    """Batcher's odd-even merge sort for any `size`.

    Returns:
        [steps, 2], read-only: at each step in turn, the lesser value goes to the first position and the greater to the second.
    """
    steps = []
    run = 1
    while run < size:
        gap = run
        while gap:
            for base in range(gap % run, size - gap, 2 * gap):
                for low in range(base, min(base + gap, size - gap)):
                    if low // (2 * run) == (low + gap) // (2 * run):
                        steps.append((low, low + gap))
            gap //= 2
        run *= 2
    return _read_only(steps)


@lru_cache(maxsize=64)
def selection_network(size: int, positions: tuple[int, ...]) -> NDArray[np.int64]:
    """The steps of `sorting_network(size)` on which the values at `positions` depend."""
    needed = set(positions)
    steps = []
    for low, high in reversed(sorting_network(size).tolist()):
        if low in needed or high in needed:
            steps.append((low, high))
            needed |= {low, high}
    return _read_only(steps[::-1])


def _read_only(steps: list[tuple[int, int]]) -> NDArray[np.int64]:
    network = np.array(steps, dtype=np.int64).reshape(-1, 2)
    network.flags.writeable = False
    return network
