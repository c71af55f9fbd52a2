"""The vote on one file: equal copies, or equal digests of them, against the rest."""

from collections.abc import Hashable, Iterable, Set
from typing import Generic, TypeVar

from byzshield.errors import FrameError

__all__ = ["Ballot"]

V = TypeVar("V", bound=Hashable)


class Ballot(Generic[V]):
    """Collects the votes of a file's workers and decides as soon as r' of them agree, or another number that is asked for.

    Of r voters at most one value can reach r' = (r + 1) / 2 votes, so neither the order nor the timing of votes can change
    what wins. A wrong value wins only if at least r' voters send it.

    A voter that is found out can be replaced; then the votes of the others count anew.

    Reference: Konstantinidis and Ramamoorthy, "ByzShield", MLSys 2021, section 3 (majority over r copies).

    Args:
        voters: the r workers that hold the file.
        threshold: the equal votes that decide, more than r / 2; None takes r'.
        counted_at_end: whether votes are only collected until `count` is called.

    >>> ballot = Ballot([0, 5, 10])
    >>> ballot.cast(0, "a"), ballot.cast(5, "b"), ballot.cast(10, "a")
    (False, False, True)
    >>> ballot.winner, ballot.dissenters
    ('a', [5])
    """

    def __init__(self, voters: Iterable[int], *, threshold: int | None = None, counted_at_end: bool = False) -> None:
        self.voters = frozenset(voters)
        self.former: frozenset[int] = frozenset()  # those who were voters, and have been replaced
        self.majority = len(self.voters) // 2 + 1 if threshold is None else threshold
        self.winner: V | None = None
        self.votes: dict[int, V] = {}
        self.most = 0
        """The largest number of equal votes."""
        self._counts: dict[V, int] = {}  # equal votes
        self._silent: set[int] = set(self.voters)
        self._counted_at_end = counted_at_end

    def cast(self, worker: int, value: V) -> bool:
        """Enters a vote; returns whether this very vote decided the file.

        Raises:
            FrameError: `worker` has no vote here, or has voted already.
        """
        if worker not in self.voters:
            raise FrameError(f"worker {worker} does not hold this file")
        if worker in self.votes:
            raise FrameError(f"worker {worker} voted twice on a file")
        self.votes[worker] = value
        self._counts[value] = equal = self._counts.get(value, 0) + 1
        if equal > self.most:
            self.most = equal
        self._silent.discard(worker)
        if self.winner is None and not self._counted_at_end and equal >= self.majority:
            self.winner = value
            return True
        return False

    def count(self, discarded: Set[int]) -> bool:
        """Decides by the votes of those who are not discarded; returns whether more than half of these holders agree.

        Holders that have not voted count as so many different votes.
        """
        majority = len(self.voters - discarded) // 2 + 1
        for value in self._counts:
            if sum(worker not in discarded for worker in self.supporters_of(value)) >= majority:
                self.winner = value
                return True
        return False

    def give_up_on(self, worker: int) -> None:
        """Stops waiting for a worker that is lost."""
        self._silent.discard(worker)

    def admit(self, worker: int) -> None:
        """Lets one more worker vote."""
        self.voters |= {worker}
        self._silent.add(worker)

    def replace(self, worker: int, by: int | None) -> bool:
        """Voids a voter's vote for good, and lets another one vote in its place, or nobody.

        Returns:
            whether there was a winner and, without that vote, is none any more.
        """
        self.voters -= {worker}
        self.former |= {worker}
        self._silent.discard(worker)
        if by is not None:
            self.admit(by)
        if (vote := self.votes.pop(worker, None)) is not None:
            self._counts[vote] -= 1
            if not self._counts[vote]:
                del self._counts[vote]
            self.most = max(self._counts.values(), default=0)
        if self.winner is None or self._counts.get(self.winner, 0) >= self.majority:
            return False
        self.winner = None
        return True

    def settle(self, value: V) -> None:
        """Decides by what somebody trusted has computed, whatever the votes are."""
        self.winner = value
        self.majority = 0

    @property
    def silent(self) -> Set[int]:
        """Workers that have not voted and may yet do so."""
        return self._silent

    @property
    def open(self) -> bool:
        """Whether no value has won and one still can."""
        return self.winner is None and self.most + len(self._silent) >= self.majority

    @property
    def disputed(self) -> bool:
        """Whether not all votes are equal."""
        return len(self._counts) > 1

    def supporters_of(self, value: V) -> list[int]:
        """Workers that voted for `value`, ascending."""
        return sorted(worker for worker, vote in self.votes.items() if vote == value)

    @property
    def supporters(self) -> list[int]:
        """Workers that voted for the winner, ascending; empty while there is none."""
        return [] if self.winner is None else self.supporters_of(self.winner)

    @property
    def dissenters(self) -> list[int]:
        """Workers that voted against the winner, ascending; empty while there is none."""
        return [] if self.winner is None else sorted(set(self.votes) - set(self.supporters))
