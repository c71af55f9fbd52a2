"""The closed forms of subset assignment."""

from itertools import combinations
from math import comb

import pytest

from byzshield.distortion import most_undetected, worst_case
from byzshield.placement import aspis, mols


def test_what_detection_leaves_of_fifteen_workers_is_half_of_the_sets_within_twice_the_liars() -> None:
    assignment = aspis(num_workers=15, replication=3)
    most = [
        most_undetected(assignment, num_byzantine=q, bound=q, without_detection=worst_case(assignment, num_byzantine=q).c_max)
        for q in range(2, 8)
    ]
    assert most == [2, 10, 28, 60, 110, 182] == [comb(2 * q, 3) // 2 for q in range(2, 8)]
    assert [round(count / 455, 3) for count in most] == [0.004, 0.022, 0.062, 0.132, 0.242, 0.4]


@pytest.mark.parametrize(("num_workers", "replication"), [(8, 3), (9, 5), (6, 1), (5, 5)])
def test_any_workers_are_the_worst(num_workers: int, replication: int) -> None:
    assignment = aspis(num_workers=num_workers, replication=replication)
    for q in range(num_workers + 1):
        result = worst_case(assignment, num_byzantine=q)
        sets = [len(set(workers) & set(range(q))) for workers in combinations(range(num_workers), replication)]
        assert result.exact
        assert (result.c_max, result.witness) == (sum(held > replication // 2 for held in sets), tuple(range(q)))
        assert result.c_max == sum(
            comb(q, held) * comb(num_workers - q, replication - held) for held in range(replication // 2 + 1, replication + 1)
        )


def test_detection_never_allows_more_than_the_vote_alone() -> None:
    for num_workers in range(5, 12):
        assignment = aspis(num_workers=num_workers, replication=3)
        for q in range(num_workers // 2 + 1):
            plain = worst_case(assignment, num_byzantine=q).c_max
            for bound in range(q, num_workers // 2 + 1):
                assert most_undetected(assignment, num_byzantine=q, bound=bound, without_detection=plain) <= plain


def test_other_placements_keep_the_worst_case_of_their_vote() -> None:
    assert most_undetected(mols(load=5, replication=3), num_byzantine=3, bound=3, without_detection=3) == 3


def test_a_bound_that_is_too_small_promises_nothing_for_any_file_of_a_byzantine_worker() -> None:
    assert most_undetected(mols(load=5, replication=3), num_byzantine=3, bound=2, without_detection=3) == 15
