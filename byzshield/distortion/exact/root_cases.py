"""The root cases of the search: one corrupted file and the Byzantine workers who hold it, up to symmetry."""

import math
from collections.abc import Iterator
from functools import lru_cache
from itertools import combinations
from math import comb

import numpy as np
from numpy.typing import NDArray

from byzshield.distortion.exact import kernel
from byzshield.distortion.exact.automorphisms import Permutations, automorphisms, preserving
from byzshield.distortion.exact.graph import CANDIDATE, Graph, Node, root
from byzshield.placement import Assignment
from byzshield.seeding import generator

__all__ = ["RootCase", "file_orbits", "root_cases"]

MOST_CASES = 500
MOST_SUBSETS = 2_000  # of the holders of one file
MOST_IMAGES = 1_000_000  # automorphisms times files
ORBIT_SAMPLE = 128

RootCase = tuple[Node, Permutations]


def root_cases(assignment: Assignment, graph: Graph, num_byzantine: int, deadline: float = math.inf) -> list[RootCase]:
    """Nodes, each with automorphisms that preserve it, that cover every q-set that corrupts a file, up to symmetry.

    A set S belongs to the case (M, i, B): M is the largest number of members of S that hold one file; i is the first orbit of
    files that has such a file, and a symmetry moves it to the orbit's first file j; B holds the members of S that hold j. In
    that case no file has more than M members of S, and none of an earlier orbit has M. docs/distortion.md says more.

    Raises:
        OutOfTime: `deadline`, a time of `time.monotonic`, passed before the symmetries were known.
    """
    automorphisms(assignment, deadline)
    symmetries = _symmetries(assignment)
    if sum(comb(assignment.replication, size) for size in range(assignment.threshold, assignment.replication + 1)) > MOST_SUBSETS:
        return [(root(graph, num_byzantine), symmetries)]
    orbits = file_orbits(assignment)
    firsts = [int(np.flatnonzero(orbits == label)[0]) for label in np.unique(orbits)]
    cases: list[RootCase] = []
    for most in range(min(assignment.replication, num_byzantine), assignment.threshold - 1, -1):
        for file in firsts:
            cap = np.where(orbits < orbits[file], most - 1, most).astype(np.int32)
            holders = assignment.workers_of[file]
            stabilizer = symmetries[preserving(symmetries, holders)]
            for members in _representatives(stabilizer, holders, most):
                kept = stabilizer[preserving(stabilizer, members)]
                cases.append((_node(graph, num_byzantine, holders, members, cap, most), kept))
                if len(cases) > MOST_CASES:
                    return [(root(graph, num_byzantine), symmetries)]
    return cases


@lru_cache(maxsize=16)
def file_orbits(assignment: Assignment) -> NDArray[np.int64]:
    """A label for each file, [f]; files that automorphisms make equivalent, or that have the same workers, share one."""
    symmetries = _symmetries(assignment)
    # A file is known by the sum of its workers' random words: an image is a file, so it is enough that no two files collide.
    words = generator(0, "file words").integers(2**63, size=assignment.num_workers, dtype=np.int64).astype(np.uint64)
    sums = words[assignment.workers_of].sum(axis=1, dtype=np.uint64)
    known, first, place = np.unique(sums, return_index=True, return_inverse=True)
    label = np.arange(len(known))
    if len(known) != len(np.unique(assignment.workers_of, axis=0)):
        raise AssertionError("two different files have the same sum of random 64-bit words")
    distinct = assignment.workers_of[first]
    images = np.searchsorted(known, words[symmetries[:, distinct]].sum(axis=2, dtype=np.uint64))
    while True:
        lower = label.copy()
        np.minimum.at(lower, images, label[None, :].repeat(len(images), axis=0))
        lower = np.minimum(lower, lower[images].min(axis=0))
        if np.array_equal(lower, label):
            return label[place]
        label = lower


def _symmetries(assignment: Assignment) -> Permutations:
    """As many automorphisms as the table of their images of files has room for."""
    return automorphisms(assignment)[: max(1, MOST_IMAGES // assignment.num_files)]


def _representatives(stabilizer: Permutations, holders: NDArray[np.int64], size: int) -> Iterator[NDArray[np.int64]]:
    """One of each class of `size` holders that the stabilizer, or an even sample of it, makes equivalent."""
    stabilizer = stabilizer[:: -(-len(stabilizer) // ORBIT_SAMPLE)]
    seen: set[tuple[int, ...]] = set()
    for members in combinations(holders.tolist(), size):
        if members in seen:
            continue
        yield np.array(members)
        queue = [members]
        seen.add(members)
        for reached in queue:
            for image in map(tuple, np.unique(np.sort(stabilizer[:, reached], axis=1), axis=0).tolist()):
                if image not in seen:
                    seen.add(image)
                    queue.append(image)


def _node(
    graph: Graph, num_byzantine: int, holders: NDArray[np.int64], members: NDArray[np.int64], cap: NDArray[np.int32], most: int
) -> Node:
    """The node of one case."""
    node = root(graph, num_byzantine)
    node.cap[:] = cap
    node.totals[kernel.MOST] = most
    for worker in members:
        kernel.choose(graph, node, worker)
    shut = np.unique(graph.workers_of[node.held >= node.cap])
    for worker in np.union1d(shut, holders):
        if node.status[worker] == CANDIDATE:
            kernel.exclude(graph, node, worker)
    return node
