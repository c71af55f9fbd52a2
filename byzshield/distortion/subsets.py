"""Subset assignment, where all workers are interchangeable: what q of them corrupt although they may be detected."""

from math import comb

import numpy as np

from byzshield.placement import Assignment

__all__ = ["has_all_subsets", "most_undetected"]


def has_all_subsets(assignment: Assignment) -> bool:
    """Whether each set of r workers holds exactly one file."""
    sets = assignment.workers_of
    if len(sets) != comb(assignment.num_workers, assignment.replication):
        return False
    return len(np.unique(sets, axis=0)) == len(sets)


def most_undetected(assignment: Assignment, *, num_byzantine: int, bound: int, without_detection: int) -> int:
    """An upper bound on the files that q Byzantine workers corrupt where those that are proven Byzantine have no vote.

    A forger that is not discarded disagrees with `bound` workers at most (`voting.Detection`). A forged copy of a file that wins
    has j >= r' of its r holders on its side or discarded, and the r - j honest ones among those at most `bound` workers. Of the
    files of j given Byzantine workers these are C(bound, r - j) in a subset assignment, so

        c <= sum over j = r' ... r of C(q, j) C(min(bound, K - q), r - j),

    which is C(2 q, r) / 2 for bound = q <= K / 2, and which the adversary reaches by disagreeing with the same `bound` honest
    workers throughout. For other placements only the worst case of the vote is known to hold. If q is more than `bound`, honest
    workers may be discarded, and each file with a Byzantine holder can be lost.

    Reference: Konstantinidis, Vaswani and Ramamoorthy, IEEE/ACM Transactions on Networking, 2023 (the optimal attack ATT-2).

    Args:
        assignment: the placement.
        num_byzantine: q.
        bound: the number of Byzantine workers that the detection allows for.
        without_detection: c_max(q) of the vote alone, or an upper bound on it.

    >>> from byzshield.placement import aspis
    >>> most_undetected(aspis(num_workers=15, replication=3), num_byzantine=5, bound=5, without_detection=110)
    60
    """
    workers, copies = assignment.num_workers, assignment.replication
    if num_byzantine > bound:
        return min(assignment.num_files, num_byzantine * assignment.load)
    if not has_all_subsets(assignment):
        return without_detection
    hidden = min(bound, workers - num_byzantine)
    return sum(comb(num_byzantine, j) * comb(hidden, copies - j) for j in range(assignment.majority, copies + 1))
