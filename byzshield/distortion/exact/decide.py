"""Decides whether a node of the search can be completed to a given number of corrupted files, in parallel and up to symmetry."""

import heapq
import time
from collections.abc import Iterable, Iterator

import numpy as np

from byzshield.distortion.exact import kernel
from byzshield.distortion.exact.automorphisms import Permutations, orbit, preserving
from byzshield.distortion.exact.graph import CHOSEN, Graph, Node, copy_of
from byzshield.distortion.exact.root_cases import RootCase
from byzshield.distortion.exact.work_stealing import OutOfTime, WorkStealingSearch, chosen_workers

__all__ = ["decide"]

MOST_SPLITS = 2_000
ENOUGH_PARTS = 64


def decide(graph: Graph, cases: Iterable[RootCase], target: int, deadline: float) -> tuple[int, ...] | None:
    """Returns q workers, ascending, that complete one of the cases to at least `target` corrupted files; None if there are none.

    Args:
        graph: the assignment.
        cases: nodes with an empty trail, each with automorphisms, [n, K], that map its chosen workers onto themselves, and its
            excluded ones, and keep the caps of its files; they are not changed.
        target: corrupted files wanted.
        deadline: a time of `time.monotonic`.

    Raises:
        OutOfTime: the deadline passed.
    """
    parts = _split(graph, cases, target, deadline)
    if isinstance(parts, tuple):
        return parts
    return WorkStealingSearch(graph, parts, target, deadline).search()


def _split(graph: Graph, cases: Iterable[RootCase], target: int, deadline: float) -> list[Node] | tuple[int, ...]:
    """Nodes whose completions cover those of the cases up to symmetry; or a witness, if one is found on the way."""
    heap: list[tuple[int, int, Node, Permutations]] = []
    serial = 0
    for node, group in cases:
        serial += 1
        heapq.heappush(heap, (-len(group), serial, copy_of(node), group))
    for _ in range(MOST_SPLITS):
        if not heap or (len(heap) >= ENOUGH_PARTS and heap[0][0] == -1):
            break
        if time.monotonic() > deadline:
            raise OutOfTime
        _, _, parent, group = heapq.heappop(heap)
        if not kernel.can_reach(graph, parent, target):
            continue
        if parent.totals[kernel.CORRUPTED] >= target:
            kernel.complete(graph, parent)
            return chosen_workers(parent)
        for child, stabilizer in _branches(graph, parent, group):
            serial += 1
            heapq.heappush(heap, (-len(stabilizer), serial, child, stabilizer))
    return [part for _, _, part, _ in sorted(heap, key=lambda entry: entry[1])]


def _branches(graph: Graph, parent: Node, group: Permutations) -> Iterator[tuple[Node, Permutations]]:
    """One worker chosen; or none of those that the group makes equivalent to it."""
    worker = kernel.pick(graph, parent)
    equivalent = orbit(group, worker)
    chosen = copy_of(parent)
    kernel.choose(graph, chosen, worker)
    kernel.close(graph, chosen, worker)
    chosen.totals[kernel.LENGTH] = 0
    yield chosen, group[preserving(group, np.flatnonzero(chosen.status == CHOSEN))] if len(group) > 1 else group
    for other in equivalent:
        kernel.exclude(graph, parent, other)
    yield parent, group
