"""The compiled search against plain enumeration, the published tables, and its own promises."""

import numpy as np
import pytest
from plain_search import enumerate_plainly, random_assignment, sizes_of_random_graphs

from byzshield.distortion import corrupted_files, worst_case
from byzshield.distortion.exact import search as exact_search
from byzshield.distortion.worst_case import MOST_ENUMERATED
from byzshield.errors import ParameterError
from byzshield.placement import baseline, cyclic, frc, mols, ramanujan1, ramanujan2

PUBLISHED = [
    (mols(load=5, replication=3), {2: 1, 3: 3, 4: 5, 5: 8, 6: 12, 7: 14}),
    (ramanujan1(load=5, replication=3), {2: 1, 3: 3, 4: 5, 5: 8, 6: 12, 7: 14}),
    (ramanujan2(m=5, replication=5), {3: 1, 4: 1, 5: 2, 6: 4, 7: 5, 8: 7, 9: 9, 10: 12, 11: 14, 12: 17}),
    (mols(load=7, replication=5), {3: 1, 4: 1, 5: 2, 6: 4, 7: 5, 8: 8, 9: 10, 10: 11, 11: 14, 12: 16, 13: 20}),
    (ramanujan1(load=7, replication=5), {3: 1, 4: 1, 5: 2, 6: 4, 7: 5, 8: 8, 9: 10, 10: 11, 11: 14, 12: 16, 13: 20}),
]


@pytest.mark.parametrize("seed", range(8))
def test_the_search_equals_plain_enumeration_on_random_biregular_graphs(seed):
    random = np.random.default_rng(seed)
    sizes = sizes_of_random_graphs()
    for _ in range(40):
        assignment = random_assignment(random, *sizes[random.integers(len(sizes))])
        if random.random() < 0.3:
            assignment = assignment.arbitrated()
        num_byzantine = int(random.integers(1, min(assignment.num_workers, 7)))
        result, canonical = exact_search.search(assignment, num_byzantine, None, assignment.num_files)
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
        mols(load=4, replication=2),
        mols(load=4, replication=3),
        mols(load=4, replication=3).arbitrated(),
        cyclic(num_workers=9, replication=2),
        mols(load=5, replication=3),
        ramanujan1(load=5, replication=3),
        ramanujan2(m=3, replication=3),
        ramanujan2(m=6, replication=3),
    ],
    ids=lambda a: f"{a.scheme}-{a.num_workers}-{a.num_files}-{a.replication}-{a.threshold}",
)
def test_the_search_equals_plain_enumeration_on_every_small_placement(assignment):
    for num_byzantine in range(1, min(assignment.num_workers, 7)):
        result, canonical = exact_search.search(assignment, num_byzantine, None, assignment.num_files)
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


def test_two_copies_with_arbitration_lose_fewer_files_than_three_with_a_vote():
    two, three = mols(load=5, replication=2), mols(load=5, replication=3)
    assert [worst_case(two, q).c_max for q in (2, 3, 4, 5)] == [1, 2, 4, 6]  # a by b workers of two squares share a b cells
    assert [worst_case(three, q, threshold=3).c_max for q in (2, 3, 4, 5)] == [0, 1, 1, 2]
    assert worst_case(three.arbitrated(), 4) == worst_case(three, 4, threshold=3)


def test_small_cases_never_load_the_compiler(monkeypatch):
    monkeypatch.setattr(exact_search, "search", lambda *_: pytest.fail("the compiled search ran"))
    assert worst_case(mols(load=5, replication=3), num_byzantine=3).c_max == 3
    assert MOST_ENUMERATED <= 100_000


@pytest.mark.parametrize("num_byzantine", [-1, 16])
def test_an_impossible_number_of_byzantine_workers_is_refused(num_byzantine):
    with pytest.raises(ParameterError, match="between 0 and the 15 workers"):
        worst_case(mols(load=5, replication=3), num_byzantine=num_byzantine)


@pytest.mark.parametrize("num_byzantine", [0, 1, 14, 15])
def test_the_ends_of_the_range_are_answered(num_byzantine):
    assignment = mols(load=5, replication=3)
    result = worst_case(assignment, num_byzantine=num_byzantine)
    assert (result.c_max, result.witness) == enumerate_plainly(assignment, num_byzantine)
