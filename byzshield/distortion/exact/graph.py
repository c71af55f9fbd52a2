"""The arrays that the compiled search works on: what it reads (`Graph`) and what it changes (`Node`)."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from byzshield.placement import Assignment

__all__ = ["CANDIDATE", "CHOSEN", "EXCLUDED", "Graph", "Ints", "Node", "copy_of", "graph_of", "root"]

CANDIDATE, CHOSEN, EXCLUDED = 0, 1, 2

Ints = NDArray[np.int32]


class Graph(NamedTuple):
    """An assignment as the kernels read it.

    Args:
        files_of: [K, l].
        workers_of: [f, r].
        shared: files that two workers share, [K, K], the diagonal 0.
        groups: workers sorted by group, [K]; group g is groups[group_start[g]:group_start[g + 1]].
        group_start: [number of groups + 1].
        shared_most: row w holds the sums of the largest entries of shared[w], [K, K + 1]; column n is the sum of n of them.
        threshold: equal copies that corrupt a file.
        across: the most files that two workers of different groups share.
        within: the most files that two workers of one group share.
        uniform: 1 if all pairs across groups share `across` and all pairs within one share `within`, else 0.
    """

    files_of: Ints
    workers_of: Ints
    shared: Ints
    groups: Ints
    group_start: Ints
    shared_most: Ints
    threshold: int
    across: int
    within: int
    uniform: int


class Node(NamedTuple):
    """A node of the search: workers chosen, workers excluded, and what follows from them.

    Args:
        status: CANDIDATE, CHOSEN or EXCLUDED, [K].
        held: chosen workers of each file, [f].
        open: candidates of each file, [f].
        table: table[h, a] files have h chosen workers and a candidates, [r + 1, r + 1].
        gain: files that each worker shares with the chosen ones, counted with multiplicity, [K].
        cap: the most chosen workers that a file may have; its candidates are excluded once it has them, [f].
        trail: workers decided since the root case, in order, [K].
        scratch: working memory of the bound: the gains of one group, [K], then a histogram of values up to across K + 3
            shared_most.
        totals: corrupted files, workers still to choose, candidates, length of the trail, length of its fixed part, and the
            largest cap; [6].
    """

    status: Ints
    held: Ints
    open: Ints
    table: Ints
    gain: Ints
    cap: Ints
    trail: Ints
    scratch: Ints
    totals: NDArray[np.int64]


def graph_of(assignment: Assignment) -> Graph:
    """Prepares an assignment for the kernels; O(K^2 (f + log K))."""
    shared = assignment.shared.copy()
    np.fill_diagonal(shared, 0)
    groups = _groups(shared)
    same = np.zeros(shared.shape, dtype=bool)
    for group in groups:
        same[np.ix_(group, group)] = True
    off_diagonal = ~np.eye(len(shared), dtype=bool)
    inside, outside = shared[same & off_diagonal], shared[~same]
    within, across = int(inside.max(initial=0)), int(outside.max(initial=0))
    across = max(across, within)
    uniform = bool((inside == within).all() and (outside == across).all())
    ranked = -np.sort(-shared, axis=1)
    most = np.concatenate([np.zeros((len(shared), 1), dtype=np.int64), np.cumsum(ranked, axis=1)], axis=1)
    return Graph(
        files_of=assignment.files_of.astype(np.int32),
        workers_of=assignment.workers_of.astype(np.int32),
        shared=shared.astype(np.int32),
        groups=np.concatenate(groups).astype(np.int32),
        group_start=np.cumsum([0, *map(len, groups)]).astype(np.int32),
        shared_most=most.astype(np.int32),
        threshold=assignment.threshold,
        across=across,
        within=within,
        uniform=int(uniform),
    )


def root(graph: Graph, num_byzantine: int) -> Node:
    """The node at which nothing is decided and `num_byzantine` workers are to be chosen."""
    num_workers = len(graph.files_of)
    num_files, replication = graph.workers_of.shape
    table = np.zeros((replication + 1, replication + 1), dtype=np.int32)
    table[0, replication] = num_files
    most = int(graph.shared_most.max(initial=0))
    return Node(
        status=np.zeros(num_workers, dtype=np.int32),
        held=np.zeros(num_files, dtype=np.int32),
        open=np.full(num_files, replication, dtype=np.int32),
        table=table,
        gain=np.zeros(num_workers, dtype=np.int32),
        cap=np.full(num_files, replication, dtype=np.int32),
        trail=np.zeros(num_workers, dtype=np.int32),
        scratch=np.zeros((graph.across + 1) * num_workers + 3 * most + 1, dtype=np.int32),
        totals=np.array([0, num_byzantine, num_workers, 0, 0, replication], dtype=np.int64),
    )


def copy_of(node: Node) -> Node:
    """An independent copy."""
    return Node(
        status=node.status.copy(),
        held=node.held.copy(),
        open=node.open.copy(),
        table=node.table.copy(),
        gain=node.gain.copy(),
        cap=node.cap.copy(),
        trail=node.trail.copy(),
        scratch=np.zeros_like(node.scratch),
        totals=node.totals.copy(),
    )


def _groups(shared: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Covers the workers by groups whose members share no file with each other (greedy; a group may be one worker)."""
    free = np.ones(len(shared), dtype=bool)
    groups = []
    while free.any():
        members = [int(np.flatnonzero(free)[0])]
        for worker in np.flatnonzero(free):
            if worker != members[0] and not shared[worker, members].any():
                members.append(int(worker))
        free[members] = False
        groups.append(np.array(members))
    return groups
