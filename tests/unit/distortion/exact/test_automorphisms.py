"""Automorphisms: each is one, there are as many as there should be, and a graph without any is left alone."""

import time
from itertools import permutations

import numpy as np
import pytest
from plain_search import random_assignment

from byzshield.distortion.exact import search as exact_search
from byzshield.distortion.exact.automorphisms import automorphisms, is_automorphism, orbit, preserving
from byzshield.distortion.exact.work_stealing import OutOfTime
from byzshield.placement import Assignment, baseline, cyclic, frc, mols, ramanujan2

FANO = Assignment(scheme="fano", files_of=[[0, 1, 2], [0, 3, 4], [0, 5, 6], [1, 3, 5], [1, 4, 6], [2, 3, 6], [2, 4, 5]])


@pytest.mark.parametrize(
    ("assignment", "order"),
    [
        (FANO, 168),  # PSL(3, 2)
        (cyclic(num_workers=9, replication=3), 18),  # dihedral
        (frc(num_workers=6, replication=3), 72),  # 3! 3! 2
        (baseline(num_workers=5), 120),
        # Translations, dilations, and the permutations of the slopes 1, 2, 3 of GF(5): 25 * 4 * 6.
        (mols(load=5, replication=3), 600),
        (mols(load=7, replication=5), 49 * 6 * 6),
    ],
    ids=["fano", "cyclic", "frc", "baseline", "mols-15", "mols-35"],
)
def test_all_automorphisms_are_found_and_each_is_one(assignment, order):
    found = automorphisms(assignment)
    assert len(np.unique(found, axis=0)) == len(found) == order
    assert np.array_equal(found[0], np.arange(assignment.num_workers))
    assert all(is_automorphism(assignment, permutation) for permutation in found)


def test_random_graphs_have_exactly_the_automorphisms_that_trying_every_permutation_finds():
    random = np.random.default_rng(0)
    orders = []
    for _ in range(6):
        assignment = random_assignment(random, 6, 8, 3)
        expected = {p for p in permutations(range(6)) if is_automorphism(assignment, np.array(p))}
        assert {tuple(p) for p in automorphisms(assignment).tolist()} == expected
        orders.append(len(expected))
    assert len(set(orders)) > 1


def test_a_graph_without_symmetry_is_searched_without_symmetry():
    random = np.random.default_rng(1)
    assignment = random_assignment(random, 24, 40, 3)
    assert automorphisms(assignment).tolist() == [list(range(24))]
    with_symmetry, _ = exact_search.search(assignment, 7, None, 40)
    assert with_symmetry.exact


def test_a_deadline_ends_the_search_for_symmetries_and_nothing_that_is_found_by_then_is_kept():
    assignment = mols(load=5, replication=3)
    with pytest.raises(OutOfTime):
        automorphisms(assignment, deadline=time.monotonic() - 1)
    everything = automorphisms(assignment)
    assert len(everything) > 1
    assert automorphisms(assignment, deadline=time.monotonic() - 1) is everything


def test_permutations_that_are_no_automorphisms_are_told_apart():
    assignment = mols(load=5, replication=3)
    swapped = np.arange(15)
    swapped[[0, 1]] = [1, 0]
    assert not is_automorphism(assignment, swapped)
    assert not is_automorphism(assignment, np.zeros(15, dtype=int))
    assert is_automorphism(assignment, np.arange(15))


def test_a_wrong_candidate_is_dropped_by_the_verification(monkeypatch):
    # Colors that say nothing make every permutation a candidate; only true automorphisms may come back.
    monkeypatch.setattr("byzshield.distortion.exact.automorphisms.refine", lambda assignment, colors: colors)
    assignment = cyclic(num_workers=6, replication=3)
    found = automorphisms(assignment)
    assert len(found) > 1
    assert all(is_automorphism(assignment, permutation) for permutation in found)


def test_large_groups_are_cut_but_stay_sound():
    assignment = frc(num_workers=30, replication=3)
    found = automorphisms(assignment)
    assert len(found) <= 20_000
    assert len(orbit(found, 0)) == 30
    assert all(is_automorphism(assignment, permutation) for permutation in found[::500])


def test_orbits_and_stabilizers_follow_the_definition():
    assignment = ramanujan2(m=5, replication=5)
    group = automorphisms(assignment)
    assert orbit(group, 3).tolist() == list(range(25))
    kept = group[preserving(group, np.array([0, 1]))]
    assert 1 < len(kept) < len(group)
    assert {frozenset(permutation[[0, 1]].tolist()) for permutation in kept} == {frozenset({0, 1})}
    expected = sum({int(p[0]), int(p[1])} == {0, 1} for p in group)
    assert len(kept) == expected
