"""Automorphisms of an assignment: found by refinement and backtracking, each one verified on the assignment itself."""

import math
import time
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from byzshield.distortion.exact.refinement import Colors, largest_cell, mark, refine
from byzshield.distortion.exact.work_stealing import OutOfTime
from byzshield.placement import Assignment

__all__ = ["Permutations", "automorphisms", "is_automorphism", "orbit", "preserving"]

MOST_ELEMENTS = 20_000
MOST_REFINED = 400_000  # workers recolored, summed over the refinements
ORBIT_SAMPLE = 128

Permutations = NDArray[np.int16]


def automorphisms(assignment: Assignment, deadline: float = math.inf) -> Permutations:
    """Permutations of the workers that map the assignment onto itself, shape [n, K], the identity first.

    All of them where there are at most MOST_ELEMENTS and the search for them ends within its budget; otherwise some of them.
    The search for the worst case is sound with any subset. Row p maps worker w to p[w].

    Args:
        assignment: the placement; what is found is remembered for it.
        deadline: a time of `time.monotonic`.

    Raises:
        OutOfTime: the deadline passed.
    """
    found = _found(assignment)
    if not found:
        found.append(_Finder(assignment, deadline).elements())
    return found[0]


@lru_cache(maxsize=16)
def _found(assignment: Assignment) -> list[Permutations]:
    """Where the automorphisms of an assignment are kept once they are known."""
    return []


def is_automorphism(assignment: Assignment, permutation: Permutations) -> bool:
    """Whether permuting the workers gives the same collection of files, each file seen as the set of its workers."""
    if not np.array_equal(np.sort(permutation), np.arange(assignment.num_workers)):
        return False
    before = assignment.workers_of
    after = np.sort(permutation[before], axis=1)
    return np.array_equal(before[np.lexsort(before.T)], after[np.lexsort(after.T)])


def preserving(permutations: Permutations, workers: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which of the permutations map the set of workers onto itself, shape [n]."""
    member = np.zeros(permutations.shape[1], dtype=bool)
    member[workers] = True
    return np.asarray(member[permutations[:, workers]].all(axis=1))


def orbit(permutations: Permutations, worker: int) -> NDArray[np.int64]:
    """Workers that products of the permutations map `worker` to, ascending.

    Uses an even sample where there are many: it nearly always generates the same orbits, and smaller ones are sound too.
    """
    sample = permutations[:: -(-len(permutations) // ORBIT_SAMPLE)]
    member = np.zeros(permutations.shape[1], dtype=bool)
    member[worker] = True
    new = np.array([worker])
    while len(new):
        before = member.copy()
        member[sample[:, new]] = True
        new = np.flatnonzero(member & ~before)
    return np.flatnonzero(member)


class _Finder:
    """Finds generators level by level along a base, as Schreier and Sims order them."""

    def __init__(self, assignment: Assignment, deadline: float) -> None:
        self._assignment = assignment
        self._deadline = deadline
        self._refined = 0
        self._base: list[int] = []
        self._colors = [self._refine(np.zeros(assignment.num_workers, dtype=np.uint64))]
        # Marking a worker of the largest cell splits the most, so that few workers need to be marked.
        while (cell := largest_cell(self._colors[-1])) is not None:
            self._base.append(cell)
            self._colors.append(self._individualize(self._colors[-1], cell, len(self._base)))

    def elements(self) -> Permutations:
        """The group, level by level from its smallest stabilizer up, or a part of it."""
        stabilizer = np.arange(self._assignment.num_workers, dtype=np.int16)[None, :]
        generators: list[Permutations] = []
        for level in reversed(range(len(self._base))):
            stabilizer = self._extend(level, stabilizer, generators)
        return stabilizer

    def _extend(self, level: int, stabilizer: Permutations, generators: list[Permutations]) -> Permutations:
        """Adds generators that fix the base before `level` until they reach all that base[level] can be mapped to.

        Returns the elements of the group so generated; `stabilizer` holds those that fix base[level] too.
        """
        point = self._base[level]
        colors = self._colors[level]
        group = stabilizer
        ruled_out: set[int] = set()
        for image in np.flatnonzero(colors == colors[point]).tolist():
            if self._refined > MOST_REFINED:
                break
            if image in ruled_out or image in orbit(group, point):
                continue
            found = self._search(level, colors, image, group)
            if found is None:
                ruled_out.update(orbit(group, image).tolist())
            else:
                generators.append(found)
                cosets = _transversal(generators, point, group[0])
                kept = stabilizer[: -(-MOST_ELEMENTS // len(cosets))]
                group = cosets[:, kept].transpose(1, 0, 2).reshape(-1, len(colors))[:MOST_ELEMENTS]
        return group

    def _search(self, level: int, colors: Colors, image: int, group: Permutations) -> Permutations | None:
        """An automorphism that maps base[level] to `image` and agrees with the refinement so far, or None.

        `group` holds known automorphisms that fix the images so far: of the candidates that they make equivalent, one will do.
        """
        if self._refined > MOST_REFINED:
            return None
        refined = self._individualize(colors, image, level + 1)
        wanted = self._colors[level + 1]
        if not np.array_equal(np.sort(refined), np.sort(wanted)):
            return None
        if level + 1 == len(self._base):
            permutation = np.empty(len(wanted), dtype=np.int16)
            permutation[np.argsort(wanted)] = np.argsort(refined)
            return permutation if is_automorphism(self._assignment, permutation) else None
        group = group[group[:, image] == image]
        ruled_out: set[int] = set()
        for candidate in np.flatnonzero(refined == wanted[self._base[level + 1]]).tolist():
            if candidate not in ruled_out:
                found = self._search(level + 1, refined, candidate, group)
                if found is not None:
                    return found
                ruled_out.update(orbit(group, candidate).tolist())
        return None

    def _individualize(self, colors: Colors, worker: int, level: int) -> Colors:
        """Marks a worker and refines, which the budget counts."""
        return self._refine(mark(colors, worker, level))

    def _refine(self, colors: Colors) -> Colors:
        if time.monotonic() > self._deadline:
            raise OutOfTime
        self._refined += len(colors)
        return refine(self._assignment, colors)


def _transversal(generators: list[Permutations], point: int, identity: Permutations) -> Permutations:
    """For each worker that the generators map `point` to, one product of them that does; the identity first."""
    found = {point: identity}
    queue = [point]
    for reached in queue:
        for generator in generators:
            image = int(generator[reached])
            if image not in found:
                found[image] = generator[found[reached]]
                queue.append(image)
    return np.array(list(found.values()))
