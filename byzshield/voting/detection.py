"""Aspis: who is Byzantine, told from who agrees with whom on all files of a step."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, TypeVar

from byzshield.voting.ballot import Ballot
from byzshield.voting.cliques import members_of_large_cliques

__all__ = ["Detection", "disagreements"]

V = TypeVar("V", bound=Hashable)

# Searched in about a second; a graph that needs more was made to need it.
MOST_NODES = 10_000


class Detection:
    """Finds workers that must be Byzantine if no more than `bound` are.

    Two workers agree unless both have voted on a file and not alike. Honest workers all agree, so they are a clique of at least
    K - q workers in the graph of agreements, and a worker that is in no clique of that size is proven Byzantine. In the
    published system the others are discarded if one clique is larger than all others and has K - q workers; then they are
    exactly those. But a largest clique of *more* workers proves nothing, since q Byzantine workers can be in one without q - 1
    honest ones; and where several of K - q exist, who is in none of them is still proven.

    Whoever disagrees with more than q others is found in any case, also when the search for cliques runs out of its budget. That
    is how Aspis+ detects, after adding up the disagreements of several steps; here a window of steps adds them up for both.

    Reference: Konstantinidis, Vaswani and Ramamoorthy, "Detection and Mitigation of Byzantine Attacks in Distributed Training",
    IEEE/ACM Transactions on Networking, 2023 (Aspis: by cliques; Aspis+: by degrees, over a detection window).

    Args:
        bound: q, the most workers that may be Byzantine within a window; less than K / 2.
        window: steps over which disagreements add up, from step 1; then all are forgotten.
        budget: most nodes of a step's search.
    """

    def __init__(self, bound: int, *, window: int = 1, budget: int = MOST_NODES) -> None:
        self.bound = bound
        self.window = window
        self._budget = budget
        self._index = 0
        self._against: list[int] = []

    def judge(self, step: int, against: Sequence[int]) -> tuple[frozenset[int], bool]:
        """The workers that must be Byzantine, and whether the search for them was complete.

        None are named if nobody is in a clique of K - q: then more than q are Byzantine, and nothing can be proven.

        Args:
            step: the training step, from 1.
            against: for each worker whom it disagrees with in this step, as bits.
        """
        index = (step - 1) // self.window
        before = self._against if index == self._index and self._against else [0] * len(against)
        self._index, self._against = index, [new | old for new, old in zip(against, before, strict=True)]
        found = members_of_large_cliques(self._against, most_left_out=self.bound, budget=self._budget)
        workers = frozenset(worker for worker in range(len(against)) if not found.members >> worker & 1)
        return (workers if found.members else frozenset()), found.decided

    def state_dict(self) -> dict[str, Any]:
        """What the window remembers, for a checkpoint."""
        others = [[other for other in range(len(self._against)) if row >> other & 1] for row in self._against]
        return {"window": self._index, "against": others}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes up what `state_dict` gave."""
        self._index = int(state["window"])
        self._against = [sum(1 << other for other in others) for others in state["against"]]


def disagreements(ballots: Sequence[Ballot[V]], num_workers: int) -> list[int]:
    """For each worker those whom it disagrees with on some file, as bits; O(f r) where everybody agrees.

    Args:
        ballots: one for each file.
        num_workers: K.
    """
    against = [0] * num_workers
    for ballot in ballots:
        camps: dict[V, int] = {}
        for worker, value in ballot.votes.items():
            camps[value] = camps.get(value, 0) | 1 << worker
        if len(camps) > 1:
            voted = sum(camps.values())
            for worker, value in ballot.votes.items():
                against[worker] |= voted & ~camps[value]
    return against
