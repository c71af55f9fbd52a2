"""The worst case by its definition, and random placements to try searches on."""

from itertools import combinations

import numpy as np

from byzshield.placement import Assignment


def enumerate_plainly(assignment: Assignment, num_byzantine: int) -> tuple[int, tuple[int, ...]]:
    """c_max and the first witness by the definition, one set at a time."""
    best, witness = -1, ()
    for workers in combinations(range(assignment.num_workers), num_byzantine):
        count = int((assignment.incidence[list(workers)].sum(axis=0) >= assignment.threshold).sum())
        if count > best:
            best, witness = count, workers
    return best, witness


def random_assignment(random: np.random.Generator, num_workers: int, num_files: int, replication: int) -> Assignment:
    """A biregular graph: copies dealt at random, then double holdings swapped away."""
    dealt = random.permutation(np.repeat(np.arange(num_files), replication)).reshape(num_workers, -1)
    while True:
        doubled = [w for w in range(num_workers) if len(set(dealt[w].tolist())) < dealt.shape[1]]
        if not doubled:
            return Assignment(scheme="random", files_of=dealt)
        worker, other = doubled[0], int(random.integers(num_workers))
        values, counts = np.unique(dealt[worker], return_counts=True)
        mine = int(np.flatnonzero(dealt[worker] == values[counts.argmax()])[0])
        theirs = int(random.integers(dealt.shape[1]))
        if dealt[other, theirs] not in dealt[worker] and dealt[worker, mine] not in dealt[other]:
            dealt[worker, mine], dealt[other, theirs] = dealt[other, theirs], dealt[worker, mine]


def sizes_of_random_graphs() -> list[tuple[int, int, int]]:
    """(K, f, r) with K l = f r, l <= f and r <= K."""
    return [
        (num_workers, num_files, replication)
        for num_workers in range(4, 13)
        for replication in (1, 2, 3, 4, 5)
        for num_files in range(2, 21)
        if num_files * replication % num_workers == 0
        and replication < num_workers
        and num_files * replication // num_workers <= num_files
    ]
