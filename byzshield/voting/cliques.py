"""Large cliques of a graph that lacks few edges: who is in one, decided exactly within a budget of search nodes."""

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Membership", "members_of_large_cliques"]


@dataclass(frozen=True, kw_only=True)
class Membership:
    """Who is in a clique of at least the size that was asked for.

    Args:
        members: bit v is set where vertex v is in such a clique, or where the budget did not suffice to tell.
        decided: whether the budget sufficed.
    """

    members: int
    decided: bool


def members_of_large_cliques(non_neighbors: Sequence[int], *, most_left_out: int, budget: int) -> Membership:
    """Finds all vertices that are in a clique of at least n - m of the n vertices.

    What a clique leaves out meets every missing edge, so the search is one for vertex covers of at most m vertices of the
    complement: a vertex with more than m missing edges is in no such clique, one with a single missing edge need not be left
    out, and the number of disjoint missing edges bounds what must be. Each clique that is found settles all its members, so at
    most m + 1 searches are needed. Hard instances exist for a large m; the budget bounds the work on them.

    Args:
        non_neighbors: for each vertex the set of those that it has no edge to, as bits; symmetric, without the vertex itself.
        most_left_out: m >= 0.
        budget: most nodes of all searches together.

    >>> members_of_large_cliques([0b010, 0b101, 0b010], most_left_out=1, budget=100)  # 1 has an edge to nobody
    Membership(members=5, decided=True)
    """
    search = _Search(non_neighbors, budget)
    everybody = (1 << len(non_neighbors)) - 1
    possible = sum(1 << v for v, others in enumerate(non_neighbors) if others.bit_count() <= most_left_out)
    known = 0
    try:
        for vertex, others in enumerate(non_neighbors):
            if not (possible & ~known) >> vertex & 1:
                continue
            left_out = search.cover(everybody & ~others & ~(1 << vertex), most_left_out - others.bit_count())
            if left_out is not None:
                known |= everybody & ~(left_out | others)
    except _BudgetSpentError:
        return Membership(members=possible, decided=False)
    return Membership(members=known, decided=True)


class _BudgetSpentError(Exception):
    pass


class _Search:
    def __init__(self, non_neighbors: Sequence[int], budget: int) -> None:
        self._missing = non_neighbors
        self._left = budget

    def cover(self, alive: int, most: int) -> int | None:
        """At most `most` vertices of `alive` that meet all missing edges within it; None if there are none such."""
        self._left -= 1
        if self._left < 0:
            raise _BudgetSpentError
        chosen = 0
        while True:
            if most < 0:
                return None
            alive, degree, vertex, single = self._survey(alive)
            if not degree:
                return chosen
            if degree > most:
                taken = 1 << vertex
            elif single:
                taken = single
            else:
                break
            chosen, alive, most = chosen | taken, alive & ~taken, most - 1
        if self._disjoint_edges(alive, most) > most:
            return None
        others = self._missing[vertex] & alive
        for taken in (1 << vertex, others):
            rest = self.cover(alive & ~(taken | 1 << vertex), most - taken.bit_count())
            if rest is not None:
                return chosen | taken | rest
        return None

    def _survey(self, alive: int) -> tuple[int, int, int, int]:
        """What still has missing edges; most of them at one vertex, and which; the partner of one that has a single one, or 0."""
        left, most, vertex, partner = 0, 0, 0, 0
        rest = alive
        while rest:
            bit = rest & -rest
            rest ^= bit
            others = self._missing[bit.bit_length() - 1] & alive
            degree = others.bit_count()
            if degree:
                left |= bit
                if degree > most:
                    most, vertex = degree, bit.bit_length() - 1
                if degree == 1 and not partner:
                    partner = others
        return left, most, vertex, partner

    def _disjoint_edges(self, alive: int, enough: int) -> int:
        """How many missing edges without a common end a greedy choice finds, up to one more than `enough`."""
        count = 0
        while alive and count <= enough:
            bit = alive & -alive
            alive ^= bit
            others = self._missing[bit.bit_length() - 1] & alive
            if others:
                alive ^= others & -others
                count += 1
        return count
