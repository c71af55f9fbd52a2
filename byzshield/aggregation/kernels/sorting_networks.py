"""Sorting networks: fixed lists of compare-and-exchange steps that sort n values without a branch.

A long network is cut into blocks of at most WIDTH rows, each a small network of its own, so that a kernel can hold the rows of a
block in registers while all its steps run: memory is read and written once a block instead of once a step.

Reference: Batcher, "Sorting Networks and Their Applications", AFIPS 1968; Knuth, TAOCP volume 3, algorithm 5.2.2M.
"""

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["NETWORKS", "WIDTH", "blocks", "sorting_network"]

WIDTH = 16  # rows of a block: AVX2 has as many vector registers, AVX-512 twice as many
HALF = WIDTH // 2
PAIRS = 4  # pairs of neighbors in a block

Steps = tuple[tuple[int, int], ...]


def sorting_network(size: int) -> Steps:
    """Batcher's odd-even merge sort for any `size`: in turn, the lesser value of a pair goes first and the greater second."""
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
    return tuple(steps)


def _merging_network(size: int) -> Steps:
    # Merges the first HALF of `size` rows with the rest: what is left of the sorting network when both are sorted.
    return sorting_network(size)[len(sorting_network(HALF)) + len(sorting_network(size - HALF)) :]


_SORTS = [(size, sorting_network(size)) for size in range(1, WIDTH + 1)]
_MERGES = [(size, _merging_network(size)) for size in range(HALF + 1, WIDTH + 1)]
_EXCHANGES = [(2 * count, tuple((2 * pair, 2 * pair + 1) for pair in range(count))) for count in range(1, PAIRS + 1)]

NETWORKS: tuple[tuple[int, Steps], ...] = (*_SORTS, *_MERGES, *_EXCHANGES)
"""What a block may be: (rows, steps). The first WIDTH sort 1, 2, ... rows and are the first to touch them."""


@lru_cache(maxsize=64)
def blocks(size: int, positions: tuple[int, ...] | None = None) -> NDArray[np.int64]:
    """The blocks that bring the right values to `positions` (by default to all) of `size` rows.

    Returns:
        [blocks, 1 + WIDTH]: the number of the network in NETWORKS, then the rows; the rest is 0.
    """
    sorts = [(len(rows) - 1, rows) for rows in (range(size)[first : first + WIDTH] for first in range(0, size, WIDTH))]
    merges: list[tuple[int, range]] = []
    run = WIDTH
    while run < size:
        for first in range(0, size, 2 * run):
            merges += _merge(range(size)[first : first + 2 * run], run)
        run *= 2
    needed = set(range(size) if positions is None else positions)
    used = []
    for network, rows in reversed(merges):
        if not needed.isdisjoint(rows):
            needed.update(rows)
            used.append((network, rows))
    table = np.zeros((len(sorts) + len(used), 1 + WIDTH), np.int64)
    for line, (network, rows) in zip(table, sorts + used[::-1], strict=True):
        line[0] = network
        line[1 : 1 + len(rows)] = rows
    table.flags.writeable = False
    return table


def _merge(rows: range, run: int) -> Iterator[tuple[int, range]]:
    # The first `run` rows and the others are sorted each. Those at even and at odd places are merged by themselves; of the result
    # only neighbors are out of order.
    if len(rows) <= run:
        return
    if run == HALF:
        yield len(_SORTS) + len(rows) - HALF - 1, rows
        return
    yield from _merge(rows[::2], run // 2)
    yield from _merge(rows[1::2], run // 2)
    neighbors = rows[1 : len(rows) - 1 + len(rows) % 2]
    for first in range(0, len(neighbors), 2 * PAIRS):
        pairs = neighbors[first : first + 2 * PAIRS]
        yield len(_SORTS) + len(_MERGES) + len(pairs) // 2 - 1, pairs
