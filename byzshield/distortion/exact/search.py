"""The exact search for larger cases: a good set by annealing, a proof that none is better, then the first of the best.

Importing this module imports numba. docs/distortion.md explains the search and proves its steps.
"""

import math
import time
from collections.abc import Sequence

import numpy as np

from byzshield.distortion.exact import kernel
from byzshield.distortion.exact.annealing import good_set
from byzshield.distortion.exact.automorphisms import Permutations, automorphisms, orbit, preserving
from byzshield.distortion.exact.decide import decide
from byzshield.distortion.exact.graph import CANDIDATE, CHOSEN, Graph, copy_of, graph_of, root
from byzshield.distortion.exact.root_cases import root_cases
from byzshield.distortion.exact.work_stealing import OutOfTime
from byzshield.distortion.result import SearchInterrupted, WorstCase, result_of
from byzshield.placement import Assignment

__all__ = ["search"]


def search(assignment: Assignment, num_byzantine: int, time_limit: float | None, at_most: int) -> tuple[WorstCase, bool]:
    """Finds the worst case.

    Args:
        assignment: the placement.
        num_byzantine: q, 1 <= q < K.
        time_limit: seconds after which to stop with what is known; None for never.
        at_most: a bound on c_max(q) that is already proved.

    Returns:
        The result, and whether its witness is the lexicographically first one.

    Raises:
        SearchInterrupted: Ctrl-C; it carries what is known.
    """
    deadline = math.inf if time_limit is None else time.monotonic() + time_limit
    graph = graph_of(assignment)
    upper = _root_bound(graph, num_byzantine, at_most)
    witness: Sequence[int] = range(num_byzantine)
    try:
        lower, witness = good_set(graph, num_byzantine, upper, deadline)
        cases = root_cases(assignment, graph, num_byzantine, deadline) if upper > lower else []
        while upper > lower:
            found = decide(graph, cases, upper, deadline)
            if found is None:
                upper -= 1
            else:
                lower, witness = upper, found
        witness = _first(graph, automorphisms(assignment, deadline), lower, tuple(witness), deadline)
    except OutOfTime:
        return result_of(assignment, witness, upper), False
    except KeyboardInterrupt:
        raise SearchInterrupted(result_of(assignment, witness, upper)) from None
    return result_of(assignment, witness, upper), True


def _root_bound(graph: Graph, num_byzantine: int, at_most: int) -> int:
    """The largest number of files that the bound allows before anything is decided.

    By bisection: whatever number the bound rules out, more files are ruled out, too.
    """
    node = root(graph, num_byzantine)
    lower, upper = 0, min(at_most, len(graph.workers_of))
    while lower < upper:
        middle = (lower + upper + 1) // 2
        if kernel.can_reach(graph, node, middle):
            lower = middle
        else:
            upper = middle - 1
    return upper


def _first(graph: Graph, symmetries: Permutations, target: int, witness: tuple[int, ...], deadline: float) -> tuple[int, ...]:
    """The lexicographically first q-set that corrupts `target` files, given any one; so the answer does not depend on timing.

    Walks the workers in order and keeps the invariant that `witness` contains the chosen workers and none of the excluded.
    """
    node = root(graph, len(witness))
    for worker in range(len(graph.files_of)):
        if node.totals[kernel.TO_CHOOSE] == 0:
            break
        if node.status[worker] != CANDIDATE:
            continue
        trial = copy_of(node)
        kernel.choose(graph, trial, worker)
        stabilizer = symmetries[preserving(symmetries, np.flatnonzero(trial.status == CHOSEN))]
        if worker not in witness:
            found = decide(graph, [(trial, stabilizer)], target, deadline)
            if found is None:
                for other in orbit(symmetries, worker):
                    kernel.exclude(graph, node, other)
                continue
            witness = found
        node, symmetries = trial, stabilizer
    return witness
