"""Plain enumeration of all C(K, q) sets with numpy: for cases too small to be worth loading a compiler."""

from itertools import combinations

import numpy as np

from byzshield.placement import Assignment

__all__ = ["first_worst_set"]


def first_worst_set(assignment: Assignment, num_byzantine: int) -> tuple[int, ...]:
    """The lexicographically first of the q-sets that corrupt the most files, for q >= 2; O(C(K, q) f) time, O(K^2 f) memory."""
    num_workers = assignment.num_workers
    incidence = assignment.incidence.astype(np.int16)
    best, witness = -1, tuple(range(num_byzantine))
    for head in combinations(range(num_workers - 2), num_byzantine - 2):
        held = incidence[list(head)].sum(axis=0, dtype=np.int16)
        offset = head[-1] + 1 if head else 0
        first, second = np.triu_indices(num_workers - offset, k=1)
        totals = held + incidence[first + offset] + incidence[second + offset]
        counts = (totals >= assignment.threshold).sum(axis=1)
        at = int(counts.argmax())
        if counts[at] > best:
            best, witness = int(counts[at]), (*head, int(first[at] + offset), int(second[at] + offset))
    return witness
