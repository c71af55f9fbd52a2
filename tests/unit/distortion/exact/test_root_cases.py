"""The cases that a search starts from: together they cover every set that corrupts a file."""

from itertools import combinations

import numpy as np
import pytest
from plain_search import random_assignment, sizes_of_random_graphs

from byzshield.distortion.exact.automorphisms import automorphisms
from byzshield.distortion.exact.graph import CHOSEN, EXCLUDED, graph_of
from byzshield.distortion.exact.root_cases import file_orbits, root_cases
from byzshield.placement import baseline, cyclic, frc, mols, ramanujan2

PLACEMENTS = [
    mols(load=4, replication=3),
    ramanujan2(m=3, replication=3),
    ramanujan2(m=6, replication=3),
    cyclic(num_workers=9, replication=5),
    frc(num_workers=9, replication=3),
    baseline(num_workers=4),
]


def assert_all_covered(assignment, num_byzantine):
    """Every q-set that corrupts a file has an image, under some automorphism, that fits one of the nodes."""
    group = automorphisms(assignment)
    nodes = [node for node, _ in root_cases(assignment, graph_of(assignment), num_byzantine)]
    for workers in combinations(range(assignment.num_workers), num_byzantine):
        held = assignment.incidence[list(workers)].sum(axis=0)
        if held.max() < assignment.threshold:
            continue
        images = np.zeros((len(group), assignment.num_workers), dtype=bool)
        np.put_along_axis(images, group[:, list(workers)].astype(int), True, axis=1)
        counts = images.astype(int) @ assignment.incidence
        fits = [
            (
                images[:, node.status == CHOSEN].all(axis=1)
                & ~images[:, node.status == EXCLUDED].any(axis=1)
                & (counts <= node.cap).all(axis=1)
            ).any()
            for node in nodes
        ]
        assert any(fits)


@pytest.mark.parametrize("assignment", PLACEMENTS, ids=lambda a: f"{a.scheme}-{a.num_workers}-{a.num_files}")
@pytest.mark.parametrize("num_byzantine", [1, 2, 3, 4])
def test_every_set_that_corrupts_a_file_is_covered_up_to_symmetry(assignment, num_byzantine):
    assert_all_covered(assignment, num_byzantine)


def test_every_set_is_covered_on_random_graphs():
    random = np.random.default_rng(11)
    sizes = [size for size in sizes_of_random_graphs() if size[0] <= 9]
    for _ in range(25):
        assert_all_covered(random_assignment(random, *sizes[random.integers(len(sizes))]), int(random.integers(2, 5)))


def test_the_automorphisms_of_a_case_preserve_it():
    for assignment in [mols(load=5, replication=3), mols(load=7, replication=5), ramanujan2(m=6, replication=3)]:
        for node, group in root_cases(assignment, graph_of(assignment), 6):
            columns = {}
            for file, holders in enumerate(assignment.workers_of.tolist()):
                columns.setdefault(tuple(holders), []).append(int(node.cap[file]))
            for permutation in group[:: max(1, len(group) // 40)]:
                assert np.array_equal(node.status[permutation], node.status)
                for holders, caps in columns.items():
                    assert columns[tuple(np.sort(permutation[list(holders)]).tolist())] == caps


def test_a_symmetric_placement_has_few_cases():
    assert len(root_cases(mols(load=7, replication=5), graph_of(mols(load=7, replication=5)), 9)) < 15
    assert len(set(file_orbits(mols(load=7, replication=5)).tolist())) == 1


def test_files_of_the_same_workers_share_an_orbit():
    orbits = file_orbits(ramanujan2(m=9, replication=3))
    assert len(orbits) == 27
    assert len(set(orbits.tolist())) == 1


def test_too_many_cases_are_one_case(monkeypatch):
    monkeypatch.setattr("byzshield.distortion.exact.root_cases.MOST_CASES", 1)
    assignment = mols(load=5, replication=3)
    ((node, group),) = root_cases(assignment, graph_of(assignment), 5)
    assert not node.status.any()
    assert len(group) == 600
