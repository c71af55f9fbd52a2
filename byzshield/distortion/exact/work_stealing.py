"""Work stealing: threads, one a core, search the parts of a problem, and one that has none left gets a branch of another's."""

import threading
import time
from collections import deque
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from byzshield.cores import available_cores
from byzshield.distortion.exact import kernel
from byzshield.distortion.exact.graph import CHOSEN, Graph, Node, copy_of

__all__ = ["OutOfTime", "WorkStealingSearch", "chosen_workers", "split_off"]

SECONDS_PER_TURN = 0.03  # between two looks at the clock and at threads without work
FIRST_TURN, MOST_NODES = 100, 50_000  # nodes; how long one takes depends on the placement


class OutOfTime(Exception):
    """The deadline passed before the question was decided."""


class WorkStealingSearch:
    """Searches parts until one is completed to the target, or all are exhausted; the kernels release the interpreter lock.

    Args:
        graph: the assignment.
        parts: nodes whose completions are to be searched; they are changed.
        target: corrupted files wanted.
        deadline: a time of `time.monotonic`.
    """

    def __init__(self, graph: Graph, parts: Iterable[Node], target: int, deadline: float) -> None:
        self._graph = graph
        self._target = target
        self._deadline = deadline
        self._pending = deque(parts)
        self._num_threads = available_cores() if self._pending else 1
        self._idle = 0
        self._stopped = False
        self._changed = threading.Condition()
        self._witness: tuple[int, ...] | None = None

    def search(self) -> tuple[int, ...] | None:
        """Returns a witness, or None when there is none.

        Raises:
            OutOfTime: the deadline passed.
        """
        if self._num_threads == 1:
            self._work()
            return self._witness
        with ThreadPoolExecutor(self._num_threads) as pool:
            try:
                for future in [pool.submit(self._work) for _ in range(self._num_threads)]:
                    future.result()
            finally:
                self._stop()
        return self._witness

    def _work(self) -> None:
        try:
            while (part := self._take()) is not None:
                self._search_part(part)
        except BaseException:
            self._stop()
            raise

    def _search_part(self, part: Node) -> None:
        outcome, nodes, now = kernel.PAUSED, FIRST_TURN, time.monotonic()
        while outcome == kernel.PAUSED and not self._stopped:
            if now > self._deadline:
                raise OutOfTime
            outcome, _ = kernel.advance(self._graph, part, self._target, nodes)
            before, now = now, time.monotonic()
            nodes = min(2 * nodes, MOST_NODES) if now - before < SECONDS_PER_TURN else max(nodes // 2, 1)
            if outcome == kernel.PAUSED and self._idle and not self._pending:
                self._give(split_off(self._graph, part))
        if outcome == kernel.FOUND:
            self._witness = chosen_workers(part)
            self._stop()

    def _take(self) -> Node | None:
        """The next part; waits for one while other threads work. None when the search is over."""
        with self._changed:
            self._idle += 1
            while not self._pending and not self._stopped and self._idle < self._num_threads:
                self._changed.wait()
            if self._stopped or not self._pending:
                self._changed.notify_all()
                return None
            self._idle -= 1
            return self._pending.popleft()

    def _give(self, branch: Node | None) -> None:
        """Leaves a branch to a thread that waits for one."""
        if branch is not None:
            with self._changed:
                self._pending.append(branch)
                self._changed.notify()

    def _stop(self) -> None:
        with self._changed:
            self._stopped = True
            self._changed.notify_all()


def split_off(graph: Graph, part: Node) -> Node | None:
    """Takes the largest branch that is still to be searched out of a part, and returns it; None if there is none.

    Args:
        graph: the assignment.
        part: a node that `advance` has left PAUSED; it is changed. What is left of it and the branch cover what it covered.
    """
    place = kernel.first_open(part)
    if place < 0:
        return None
    branch = copy_of(part)
    kernel.turn_back(graph, branch, place)
    part.totals[kernel.FIXED] = place + 1
    return branch


def chosen_workers(node: Node) -> tuple[int, ...]:
    """The workers that a node has chosen, ascending."""
    return tuple(np.flatnonzero(node.status == CHOSEN).tolist())
