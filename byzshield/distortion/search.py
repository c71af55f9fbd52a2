"""The worst case: which q workers corrupt the most files after the vote."""

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from byzshield.errors import ParameterError
from byzshield.placement import Assignment

__all__ = ["WorstCase", "corrupted_files", "worst_case"]


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


def corrupted_files(assignment: Assignment, workers: tuple[int, ...]) -> list[int]:
    """Files of which at least r' copies are in the hands of `workers`, ascending."""
    held = np.bincount(assignment.files_of[list(workers)].ravel(), minlength=assignment.num_files)
    return np.flatnonzero(held >= assignment.majority).tolist()


def worst_case(assignment: Assignment, *, num_byzantine: int) -> WorstCase:
    """Finds q workers that corrupt the most files, by enumerating all C(K, q) sets.

    The first of the best sets in lexicographic order is the witness, so every process finds the same one.

    Args:
        assignment: the placement.
        num_byzantine: q, 0 <= q <= K.

    Raises:
        ParameterError: q is out of range.
    """
    num_workers = assignment.num_workers
    if not 0 <= num_byzantine <= num_workers:
        raise ParameterError(f"num_byzantine must be between 0 and the number of workers; got {num_byzantine} of {num_workers}")
    incidence = assignment.incidence.astype(np.int16)
    best, witness = -1, tuple(range(num_byzantine))
    if num_byzantine == 0:
        best = 0
    elif num_byzantine == 1:
        best = assignment.load if assignment.majority == 1 else 0
    else:
        tail = 2
        for head in combinations(range(num_workers - tail), num_byzantine - tail):
            held = incidence[list(head)].sum(axis=0, dtype=np.int16)
            first, second = np.triu_indices(num_workers - 1 - (head[-1] if head else -1), k=1)
            offset = head[-1] + 1 if head else 0
            totals = held + incidence[first + offset] + incidence[second + offset]
            counts = (totals >= assignment.majority).sum(axis=1)
            at = int(counts.argmax())
            if counts[at] > best:
                best, witness = int(counts[at]), (*head, int(first[at] + offset), int(second[at] + offset))
    return WorstCase(
        num_byzantine=num_byzantine,
        c_max=best,
        epsilon=best / assignment.num_files,
        exact=True,
        witness=witness,
        upper_bound=best,
    )
