"""The compiled search against plain enumeration, the published tables, and its own promises."""

from itertools import combinations

import numpy as np
import pytest

from byzshield.distortion import branch_and_bound, corrupted_files, worst_case
from byzshield.distortion.search import MOST_ENUMERATED
from byzshield.errors import ParameterError
from byzshield.placement import Assignment, baseline, cyclic, frc, mols, ramanujan1, ramanujan2

PUBLISHED = [
    (mols(load=5, replication=3), {2: 1, 3: 3, 4: 5, 5: 8, 6: 12, 7: 14}),
    (ramanujan1(load=5, replication=3), {2: 1, 3: 3, 4: 5, 5: 8, 6: 12, 7: 14}),
    (ramanujan2(m=5, replication=5), {3: 1, 4: 1, 5: 2, 6: 4, 7: 5, 8: 7, 9: 9, 10: 12, 11: 14, 12: 17}),
    (mols(load=7, replication=5), {3: 1, 4: 1, 5: 2, 6: 4, 7: 5, 8: 8, 9: 10, 10: 11, 11: 14, 12: 16, 13: 20}),
    (ramanujan1(load=7, replication=5), {3: 1, 4: 1, 5: 2, 6: 4, 7: 5, 8: 8, 9: 10, 10: 11, 11: 14, 12: 16, 13: 20}),
]


def enumerate_plainly(assignment: Assignment, num_byzantine: int) -> tuple[int, tuple[int, ...]]:
    """c_max and the first witness by the definition, one set at a time."""
    best, witness = -1, ()
    for workers in combinations(range(assignment.num_workers), num_byzantine):
        count = int((assignment.incidence[list(workers)].sum(axis=0) >= assignment.majority).sum())
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
        for replication in (1, 3, 5)
        for num_files in range(2, 21)
        if num_files * replication % num_workers == 0
        and replication < num_workers
        and num_files * replication // num_workers <= num_files
    ]


@pytest.fixture(autouse=True)
def _private_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


@pytest.mark.parametrize("seed", range(8))
def test_the_search_equals_plain_enumeration_on_random_biregular_graphs(seed):
    random = np.random.default_rng(seed)
    sizes = sizes_of_random_graphs()
    for _ in range(40):
        assignment = random_assignment(random, *sizes[random.integers(len(sizes))])
        num_byzantine = int(random.integers(1, min(assignment.num_workers, 7)))
        result, canonical = branch_and_bound.search(assignment, num_byzantine, None, assignment.num_files)
        assert canonical
        assert result.exact
        assert (result.c_max, result.witness) == enumerate_plainly(assignment, num_byzantine)


@pytest.mark.parametrize(
    "assignment",
    [
        baseline(num_workers=7),
        frc(num_workers=15, replication=3),
        frc(num_workers=15, replication=5),
        cyclic(num_workers=9, replication=3),
        cyclic(num_workers=13, replication=5),
        cyclic(num_workers=7, replication=7),
        mols(load=4, replication=3),
        mols(load=5, replication=3),
        ramanujan1(load=5, replication=3),
        ramanujan2(m=3, replication=3),
        ramanujan2(m=6, replication=3),
    ],
    ids=lambda a: f"{a.scheme}-{a.num_workers}-{a.num_files}-{a.replication}",
)
def test_the_search_equals_plain_enumeration_on_every_small_placement(assignment):
    for num_byzantine in range(1, min(assignment.num_workers, 7)):
        result, canonical = branch_and_bound.search(assignment, num_byzantine, None, assignment.num_files)
        assert canonical
        assert (result.exact, result.c_max, result.witness) == (True, *enumerate_plainly(assignment, num_byzantine))
        assert worst_case(assignment, num_byzantine=num_byzantine) == result


@pytest.mark.parametrize(("assignment", "rows"), PUBLISHED, ids=lambda value: getattr(value, "scheme", ""))
def test_the_published_tables_come_out(assignment, rows):
    for num_byzantine, c_max in rows.items():
        result = worst_case(assignment, num_byzantine=num_byzantine)
        assert (result.c_max, result.exact, result.upper_bound) == (c_max, True, c_max)
        assert len(corrupted_files(assignment, result.witness)) == c_max
        assert len(set(result.witness)) == num_byzantine


def test_small_cases_never_load_the_compiler(monkeypatch):
    monkeypatch.setattr(branch_and_bound, "search", lambda *_: pytest.fail("the compiled search ran"))
    assert worst_case(mols(load=5, replication=3), num_byzantine=3).c_max == 3
    assert MOST_ENUMERATED <= 100_000


@pytest.mark.parametrize("num_byzantine", [-1, 16])
def test_an_impossible_number_of_byzantine_workers_is_refused(num_byzantine):
    with pytest.raises(ParameterError, match="between 0 and the number of workers"):
        worst_case(mols(load=5, replication=3), num_byzantine=num_byzantine)


@pytest.mark.parametrize("num_byzantine", [0, 1, 14, 15])
def test_the_ends_of_the_range_are_answered(num_byzantine):
    assignment = mols(load=5, replication=3)
    result = worst_case(assignment, num_byzantine=num_byzantine)
    assert (result.c_max, result.witness) == enumerate_plainly(assignment, num_byzantine)
