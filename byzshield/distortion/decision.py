"""Decides whether a node of the search can be completed to a given number of corrupted files, in parallel and up to symmetry."""

import heapq
import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from byzshield.distortion import kernel
from byzshield.distortion.graph import CHOSEN, Graph, Node, copy_of
from byzshield.distortion.symmetry import Permutations, orbit, preserving

__all__ = ["OutOfTime", "decide"]

NODES_PER_TURN = 50_000
MOST_SPLITS = 2_000
ENOUGH_PARTS = 64


class OutOfTime(Exception):
    """The deadline passed before the question was decided."""


def decide(graph: Graph, node: Node, symmetries: Permutations, target: int, deadline: float) -> tuple[int, ...] | None:
    """Returns q workers, ascending, that complete `node` to at least `target` corrupted files, or None if there are none.

    Args:
        graph: the assignment.
        node: workers chosen and excluded so far, with an empty trail; it is not changed.
        symmetries: automorphisms that map the chosen workers onto themselves and the excluded ones too, [n, K].
        target: corrupted files wanted.
        deadline: a time of `time.monotonic`.

    Raises:
        OutOfTime: the deadline passed.
    """
    parts = _split(graph, node, symmetries, target, deadline)
    if isinstance(parts, tuple):
        return parts
    return _search_all(graph, parts, target, deadline)


def _split(graph: Graph, node: Node, symmetries: Permutations, target: int, deadline: float) -> list[Node] | tuple[int, ...]:
    """Nodes whose completions cover those of `node` up to symmetry; or a witness, if one turns up."""
    serial = 0
    heap: list[tuple[int, int, Node, Permutations]] = [(-len(symmetries), serial, copy_of(node), symmetries)]
    for _ in range(MOST_SPLITS):
        if not heap or (len(heap) >= ENOUGH_PARTS and heap[0][0] == -1):
            break
        if time.monotonic() > deadline:
            raise OutOfTime
        _, _, parent, group = heapq.heappop(heap)
        if not kernel.can_reach(graph, parent, target):
            continue
        if parent.totals[0] >= target:
            kernel.complete(graph, parent)
            return _chosen(parent)
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
    yield chosen, group[preserving(group, np.flatnonzero(chosen.status == CHOSEN))] if len(group) > 1 else group
    for other in equivalent:
        kernel.exclude(graph, parent, other)
    yield parent, group


def _search_all(graph: Graph, parts: list[Node], target: int, deadline: float) -> tuple[int, ...] | None:
    """Searches the parts with one thread a core; the kernels release the interpreter lock."""
    stop = threading.Event()
    witnesses: list[tuple[int, ...]] = []
    queue = iter(parts)
    lock = threading.Lock()

    def work() -> None:
        while not stop.is_set():
            with lock:
                part = next(queue, None)
            if part is None:
                return
            outcome = kernel.PAUSED
            while outcome == kernel.PAUSED and not stop.is_set():
                if time.monotonic() > deadline:
                    stop.set()
                    raise OutOfTime
                outcome, _ = kernel.advance(graph, part, target, NODES_PER_TURN)
            if outcome == kernel.FOUND:
                witnesses.append(_chosen(part))
                stop.set()

    num_threads = min(_num_cores(), len(parts))
    if num_threads <= 1:
        work()
    else:
        with ThreadPoolExecutor(num_threads) as pool:
            try:
                for future in [pool.submit(work) for _ in range(num_threads)]:
                    future.result()
            finally:
                stop.set()
    return witnesses[0] if witnesses else None


def _num_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _chosen(node: Node) -> tuple[int, ...]:
    return tuple(np.flatnonzero(node.status == CHOSEN).tolist())
