"""Color refinement: colors of the workers that tell apart those which no automorphism can exchange."""

import numpy as np
from numpy.typing import NDArray

from byzshield.placement import Assignment

__all__ = ["Colors", "largest_cell", "mark", "refine"]

Colors = NDArray[np.uint64]


def refine(assignment: Assignment, colors: Colors) -> Colors:
    """Recolors workers by the colors of their files and back until no cell splits, [K]; isomorphic inputs, equal colors."""
    cells = len(np.unique(colors))
    while True:
        files = _mix(_mix(colors)[assignment.workers_of].sum(axis=1, dtype=np.uint64))
        colors = _mix(_mix(colors) + files[assignment.files_of].sum(axis=1, dtype=np.uint64))
        split = len(np.unique(colors))
        if split == cells:
            return colors
        cells = split


def mark(colors: Colors, worker: int, level: int) -> Colors:
    """Gives one worker a color of its own, the same for each worker that is marked at this level."""
    marked = colors.copy()
    marked[worker] = _mix(np.array([level], dtype=np.uint64))[0]
    return marked


def largest_cell(colors: Colors) -> int | None:
    """The first worker of the largest cell, or None if no two workers share a color."""
    _, inverse, counts = np.unique(colors, return_inverse=True, return_counts=True)
    sizes = counts[inverse]
    return int(sizes.argmax()) if sizes.max() > 1 else None


def _mix(values: Colors) -> Colors:
    """Scrambles 64-bit words (the finalizer of splitmix64), so that sums of them tell multisets apart."""
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
