"""Simulated annealing: a good set of Byzantine workers, fast and without a proof. Importing this module imports numba."""

import math
import time

import numpy as np

from byzshield.arrays import Float64
from byzshield.compilation import compiled
from byzshield.distortion.exact.graph import Graph, Ints
from byzshield.seeding import generator

__all__ = ["good_set"]

RUNS = 12
STEPS = 100_000


def good_set(graph: Graph, num_byzantine: int, goal: int, deadline: float = math.inf) -> tuple[int, tuple[int, ...]]:
    """The best of several annealing runs, the same on every machine that has the time: files corrupted, and by whom.

    Args:
        graph: the assignment.
        num_byzantine: q, 1 <= q < K.
        goal: corrupted files at which to stop, an upper bound on what is possible.
        deadline: a time of `time.monotonic` after which no further run begins; there is always one.
    """
    num_workers = len(graph.files_of)
    best, witness = -1, tuple(range(num_byzantine))
    for run in range(RUNS):
        random = generator(0, "distortion annealing", num_byzantine, run)
        order = random.permutation(num_workers).astype(np.int32)
        leaving = random.integers(num_byzantine, size=STEPS, dtype=np.int32)
        entering = random.integers(num_byzantine, num_workers, size=STEPS, dtype=np.int32)
        draws = np.stack([leaving, entering], axis=1)
        workers = np.empty(num_byzantine, dtype=np.int32)
        count = anneal(graph, order, goal, draws, random.random(STEPS), workers)
        if count > best:
            best, witness = count, tuple(np.sort(workers).tolist())
        if best >= goal or time.monotonic() > deadline:
            break
    return best, witness


@compiled
def anneal(graph: Graph, order: Ints, goal: int, draws: Ints, chances: Float64, best_set: Ints) -> int:
    """Simulated annealing by swaps of a chosen worker for another, from the first q workers of `order`.

    Args:
        graph: the assignment.
        order: a permutation of the workers, [K]; it is changed.
        goal: corrupted files at which to stop.
        draws: the positions to swap, one from the first q and one from the rest, [steps, 2].
        chances: uniform numbers in [0, 1), [steps].
        best_set: where to put the best set of workers, [q].

    Returns:
        The files that `best_set` corrupts.
    """
    num_files, replication = graph.workers_of.shape
    threshold = graph.threshold
    # A file short of its threshold counts a fraction, so that a swap that brings it nearer counts before it is reached.
    worth = np.ones(replication + 1)
    for held in range(threshold):
        worth[held] = 0.5 * (held / threshold) ** 2
    held_by = np.zeros(num_files, dtype=np.int32)
    num_chosen = len(best_set)
    best_set[:] = order[:num_chosen]
    for worker in best_set:
        for file in graph.files_of[worker]:
            held_by[file] += 1
    corrupted = 0
    for file in range(num_files):
        if held_by[file] >= threshold:
            corrupted += 1
    best = corrupted
    steps = len(chances)
    for step in range(steps):
        if best >= goal:
            break
        leaving, entering = order[draws[step, 0]], order[draws[step, 1]]
        change, before = 0.0, corrupted
        for file in graph.files_of[leaving]:
            held = held_by[file]
            change += worth[held - 1] - worth[held]
            corrupted -= int(held == threshold)
            held_by[file] = held - 1
        for file in graph.files_of[entering]:
            held = held_by[file]
            change += worth[held + 1] - worth[held]
            corrupted += int(held + 1 == threshold)
            held_by[file] = held + 1
        temperature = 0.6 * (1.0 - step / steps) + 0.02
        if change >= 0 or chances[step] < np.exp(change / temperature):
            order[draws[step, 0]], order[draws[step, 1]] = entering, leaving
            if corrupted > best:
                best = corrupted
                best_set[:] = order[:num_chosen]
        else:
            corrupted = before
            for file in graph.files_of[entering]:
                held_by[file] -= 1
            for file in graph.files_of[leaving]:
                held_by[file] += 1
    return best
