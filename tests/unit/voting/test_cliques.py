"""Who is in a large clique, against plain enumeration of all sets."""

from itertools import combinations

import numpy as np
import pytest

from byzshield.voting.cliques import members_of_large_cliques


def graph(missing: set[tuple[int, int]], num_vertices: int) -> list[int]:
    rows = [0] * num_vertices
    for one, other in missing:
        rows[one] |= 1 << other
        rows[other] |= 1 << one
    return rows


def members_by_enumeration(rows: list[int], least: int) -> int:
    everybody, members = range(len(rows)), 0
    for clique in combinations(everybody, least):  # a larger one has subsets of this size for each of its members
        if all(not rows[one] >> other & 1 for one, other in combinations(clique, 2)):
            members |= sum(1 << vertex for vertex in clique)
    return members


@pytest.mark.parametrize("seed", range(120))
def test_the_members_are_those_of_plain_enumeration(seed: int) -> None:
    rng = np.random.default_rng(seed)
    num_vertices = int(rng.integers(1, 11))
    share = rng.choice([0.1, 0.3, 0.6])
    missing = {pair for pair in combinations(range(num_vertices), 2) if rng.random() < share}
    rows = graph(missing, num_vertices)
    for left_out in range(num_vertices):
        found = members_of_large_cliques(rows, most_left_out=left_out, budget=10_000)
        assert found.decided
        assert found.members == members_by_enumeration(rows, num_vertices - left_out)


def test_without_missing_edges_everybody_is_a_member() -> None:
    assert members_of_large_cliques([0, 0, 0], most_left_out=0, budget=10).members == 0b111


def test_a_hostile_graph_of_hundreds_ends_within_its_budget_and_still_excludes_the_clearest() -> None:
    # 100 vertices miss edges to one another at random, six each or so, and one misses 120: only the last is sure to be out.
    rng = np.random.default_rng(0)
    missing = {(int(min(pair)), int(max(pair))) for pair in rng.integers(0, 100, (300, 2)) if pair[0] != pair[1]}
    missing |= {(250, v) for v in range(120)}
    found = members_of_large_cliques(graph(missing, 300), most_left_out=55, budget=200)
    assert not found.decided
    assert found.members == ((1 << 300) - 1) & ~(1 << 250)


def test_the_two_sides_of_a_perfect_attack_on_many_workers_are_told_apart_in_a_few_nodes() -> None:
    # 99 workers disagree with the same 99 of 300: two cliques of 201, and whoever is in neither does not exist.
    missing = {(a, b) for a in range(99) for b in range(99, 198)}
    found = members_of_large_cliques(graph(missing, 300), most_left_out=99, budget=500)
    assert found.decided
    assert found.members == (1 << 300) - 1
