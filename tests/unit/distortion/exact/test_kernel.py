"""The bound of the search, against every completion of random nodes."""

from itertools import combinations

import numpy as np
import pytest
from plain_search import random_assignment, sizes_of_random_graphs

from byzshield.distortion.exact import kernel
from byzshield.distortion.exact.graph import CANDIDATE, CHOSEN, EXCLUDED, copy_of, graph_of, root
from byzshield.placement import cyclic, mols, ramanujan2

PLACEMENTS = [mols(load=4, replication=3), ramanujan2(m=6, replication=3), cyclic(num_workers=11, replication=5)]


def random_node(assignment, random):
    """A node in the middle of a search: some workers chosen, some excluded, at least one to choose."""
    graph = graph_of(assignment)
    num_byzantine = int(random.integers(1, min(assignment.num_workers, 7)))
    node = root(graph, num_byzantine)
    order = random.permutation(assignment.num_workers)
    num_chosen = int(random.integers(0, num_byzantine))
    num_excluded = int(random.integers(0, assignment.num_workers - num_byzantine + 1))
    for worker in order[:num_chosen]:
        kernel.choose(graph, node, worker)
    for worker in order[num_chosen : num_chosen + num_excluded]:
        kernel.exclude(graph, node, worker)
    return graph, node


def best_completion(assignment, node):
    chosen = np.flatnonzero(node.status == CHOSEN).tolist()
    left = np.flatnonzero(node.status == CANDIDATE).tolist()
    held = assignment.incidence[chosen].sum(axis=0)
    rest = int(node.totals[kernel.TO_CHOOSE])
    return max(
        int((held + assignment.incidence[list(more)].sum(axis=0) >= assignment.threshold).sum())
        for more in combinations(left, rest)
    )


def assert_consistent(assignment, graph, node):
    """Everything that a node stores follows from its status."""
    chosen = node.status == CHOSEN
    held = assignment.incidence[chosen].sum(axis=0)
    room = assignment.incidence[node.status == CANDIDATE].sum(axis=0)
    table = np.zeros_like(node.table)
    np.add.at(table, (held, room), 1)
    assert np.array_equal(node.held, held)
    assert np.array_equal(node.open, room)
    assert np.array_equal(node.table, table)
    assert np.array_equal(node.gain, graph.shared[chosen].sum(axis=0))
    assert node.totals[kernel.CORRUPTED] == (held >= assignment.threshold).sum()
    assert node.totals[kernel.CANDIDATES] == (node.status == CANDIDATE).sum()


@pytest.mark.parametrize("seed", range(4))
def test_the_bound_never_rules_out_a_completion_that_exists(seed):
    random = np.random.default_rng(seed)
    sizes = sizes_of_random_graphs()
    ruled_out = 0
    for trial in range(150):
        fixed = trial < 60
        assignment = PLACEMENTS[trial % 3] if fixed else random_assignment(random, *sizes[random.integers(len(sizes))])
        graph, node = random_node(assignment, random)
        best = best_completion(assignment, node)
        assert kernel.can_reach(graph, node, best)
        ruled_out += not kernel.can_reach(graph, node, best + 1)
    assert ruled_out > 50  # the bound is often tight, or this test would say little


def test_the_search_leaves_a_node_as_consistent_as_it_found_it():
    random = np.random.default_rng(7)
    for assignment in PLACEMENTS:
        graph, node = random_node(assignment, random)
        assert_consistent(assignment, graph, node)
        before = copy_of(node)
        impossible = best_completion(assignment, node) + 1
        outcome, _ = kernel.advance(graph, node, impossible, 10_000_000)
        assert outcome == kernel.EXHAUSTED
        assert np.array_equal(node.status, before.status)
        assert_consistent(assignment, graph, node)


def test_a_search_in_small_turns_is_the_same_search():
    assignment = ramanujan2(m=5, replication=5)
    graph = graph_of(assignment)
    whole, parts = root(graph, 8), root(graph, 8)
    outcome, visited = kernel.advance(graph, whole, 8, 10_000_000)
    assert outcome == kernel.EXHAUSTED
    turns = visited_in_parts = 0
    while True:
        outcome, step = kernel.advance(graph, parts, 8, 1_000)
        turns, visited_in_parts = turns + 1, visited_in_parts + step
        if outcome != kernel.PAUSED:
            break
        assert_consistent(assignment, graph, parts)
        assert (parts.status == EXCLUDED).sum() + (parts.status == CHOSEN).sum() == parts.totals[kernel.LENGTH]
    assert (outcome, visited_in_parts) == (kernel.EXHAUSTED, visited)
    assert turns > 10
