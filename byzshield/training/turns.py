"""Who computes which copy of a file at once, and whose copies wait until somebody asks for them."""

from collections.abc import Sequence
from dataclasses import dataclass

from byzshield.placement import Assignment

__all__ = ["Turns", "postponed", "turns"]


@dataclass(frozen=True, kw_only=True)
class Turns:
    """Which votes a step begins with.

    Args:
        spare: for each file the holders that vote only on request, ascending.
        votes: for each worker the files on which it votes without being asked again.
        work: for each rank the files that it computes for them, each once.
        most_work: for each rank the files that its workers hold, each once.
    """

    spare: list[list[int]]
    votes: list[int]
    work: dict[int, int]
    most_work: dict[int, int]


def turns(assignment: Assignment, rank_of: Sequence[int], *, on_request: bool) -> Turns:
    """Counts the votes and the work of a step.

    Args:
        assignment: who holds which file in this step.
        rank_of: for each worker the rank that hosts it.
        on_request: whether the `postponed` copies wait for a request; if not, all are computed at once.
    """
    late = postponed(assignment) if on_request else set()
    first: dict[int, set[int]] = {rank: set() for rank in rank_of}
    held: dict[int, set[int]] = {rank: set() for rank in rank_of}
    votes = [0] * assignment.num_workers
    spare: list[list[int]] = []
    for file, workers in enumerate(assignment.workers_of.tolist()):
        spare.append(sorted(worker for worker in workers if (worker, file) in late))
        for worker in workers:
            held[rank_of[worker]].add(file)
            if (worker, file) not in late:
                votes[worker] += 1
                first[rank_of[worker]].add(file)
    return Turns(spare=spare, votes=votes, work=_sizes(first), most_work=_sizes(held))


def _sizes(files: dict[int, set[int]]) -> dict[int, int]:
    return {rank: len(on_rank) for rank, on_rank in files.items()}


def postponed(assignment: Assignment) -> set[tuple[int, int]]:
    """Pairs (worker, file) that nobody needs if nobody fails, about equally many of each worker.

    Of each file these are r - r' workers; none where all r copies must agree.
    """
    load = [0] * assignment.num_workers
    pairs: set[tuple[int, int]] = set()
    for file, workers in enumerate(assignment.workers_of.tolist()):
        for worker in sorted(workers, key=lambda holder: (load[holder], holder))[: assignment.replication - assignment.threshold]:
            load[worker] += 1
            pairs.add((worker, file))
    return pairs
