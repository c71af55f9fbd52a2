"""What the worst-case search returns, and how to check it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from byzshield.placement import Assignment

__all__ = ["SearchInterrupted", "WorstCase", "corrupted_files", "result_of"]


@dataclass(frozen=True, kw_only=True)
class WorstCase:
    """c_max(q) and workers who reach it.

    Args:
        num_byzantine: q.
        c_max: files that `witness` corrupts.
        epsilon: c_max / f.
        exact: whether no other q workers can corrupt more; proved, not guessed.
        witness: q workers, ascending.
        upper_bound: a proved bound on c_max(q); equals c_max when exact.
    """

    num_byzantine: int
    c_max: int
    epsilon: float
    exact: bool
    witness: tuple[int, ...]
    upper_bound: int


class SearchInterrupted(KeyboardInterrupt):
    """The user stopped the search; `known` is what it had proved by then."""

    def __init__(self, known: WorstCase) -> None:
        super().__init__(f"stopped with {known.c_max} <= c_max({known.num_byzantine}) <= {known.upper_bound}")
        self.known = known


def corrupted_files(assignment: Assignment, workers: Sequence[int]) -> list[int]:
    """Files of which `workers` hold as many copies as corrupt one, ascending."""
    held = np.bincount(assignment.files_of[list(workers)].ravel(), minlength=assignment.num_files)
    return np.flatnonzero(held >= assignment.threshold).tolist()


def result_of(assignment: Assignment, witness: Sequence[int], upper_bound: int) -> WorstCase:
    """The result for a witness and a proved bound; the files that the witness corrupts are counted on the assignment itself."""
    c_max = len(corrupted_files(assignment, witness))
    return WorstCase(
        num_byzantine=len(witness),
        c_max=c_max,
        epsilon=c_max / assignment.num_files,
        exact=c_max == upper_bound,
        witness=tuple(witness),
        upper_bound=upper_bound,
    )
