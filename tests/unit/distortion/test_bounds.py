"""Closed forms and bounds against the paper's figures and against exact values."""

import numpy as np
import pytest
from plain_search import enumerate_plainly, random_assignment, sizes_of_random_graphs

from byzshield.distortion import worst_case
from byzshield.distortion.bounds import bound_from_fewer, epsilon_baseline, epsilon_frc, floor_of, spectral_bound
from byzshield.placement import baseline, frc, mols, ramanujan2


def test_gamma_is_the_papers_for_fifteen_workers():
    assignment = mols(load=5, replication=3)
    gammas = [spectral_bound(assignment, q) for q in range(2, 8)]
    assert gammas == pytest.approx([2.11, 4.29, 6.96, 10.0, 13.33, 16.9], abs=0.006)


def test_gamma_is_the_papers_for_thirty_five_workers():
    assert spectral_bound(mols(load=7, replication=5), 3) == pytest.approx(2.68, abs=0.005)


def test_gamma_is_not_defined_without_redundancy():
    assert spectral_bound(baseline(num_workers=5), 2) is None


def test_gamma_is_nothing_for_no_byzantine_worker():
    assert spectral_bound(mols(load=5, replication=3), 0) == 0


def test_no_random_graph_exceeds_gamma_or_the_bound_from_fewer():
    random = np.random.default_rng(3)
    sizes = [size for size in sizes_of_random_graphs() if size[2] > 1 and size[0] <= 10]
    for _ in range(60):
        assignment = random_assignment(random, *sizes[random.integers(len(sizes))])
        fewer = 0
        for q in range(1, 6):
            if q > assignment.num_workers:
                break
            c_max, _ = enumerate_plainly(assignment, q)
            assert c_max <= floor_of(spectral_bound(assignment, q))
            if q > assignment.threshold:
                assert c_max <= bound_from_fewer(fewer, q, assignment.threshold)
            fewer = c_max


def test_the_bound_from_fewer_needs_more_than_a_majority():
    with pytest.raises(ValueError, match="more than 3"):
        bound_from_fewer(1, 3, 3)


@pytest.mark.parametrize(("num_workers", "replication"), [(15, 3), (15, 5), (9, 3), (21, 7)])
def test_the_closed_form_of_groups_is_what_the_search_finds(num_workers, replication):
    assignment = frc(num_workers=num_workers, replication=replication)
    for q in range(num_workers // 2 + 1):
        assert epsilon_frc(q, num_workers, replication) == worst_case(assignment, num_byzantine=q, use_cache=False).epsilon


def test_the_closed_form_of_the_baseline_is_what_the_search_finds():
    for q in range(8):
        assert epsilon_baseline(q, 7) == worst_case(baseline(num_workers=7), num_byzantine=q).epsilon


def test_groups_that_do_not_divide_the_workers_have_no_closed_form():
    assert epsilon_frc(3, 16, 5) is None


@pytest.mark.parametrize("assignment", [mols(load=5, replication=3), mols(load=8, replication=5), ramanujan2(m=7, replication=7)])
def test_small_values_are_the_theorems(assignment):
    replication = assignment.replication
    for q in range(replication + 1):
        expected = 0 if q < assignment.threshold else 1 if q < replication else 3 if replication == 3 else 2
        assert worst_case(assignment, num_byzantine=q, use_cache=False).c_max == expected
