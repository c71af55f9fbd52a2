"""How many Byzantine workers an assignment tolerates: the largest q whose worst case stays within a number of files."""

from byzshield.distortion.table import rows
from byzshield.errors import ParameterError
from byzshield.placement import Assignment

__all__ = ["most_byzantine"]


def most_byzantine(assignment: Assignment, *, num_corrupted: int, time_limit: float | None = None) -> int:
    """The largest q for which c_max(q) <= `num_corrupted` is proved.

    Use it to say what would fit when a rule does not tolerate the worst case of a run's q.

    Args:
        assignment: the placement.
        num_corrupted: corrupted files that the rule tolerates.
        time_limit: seconds for each q; a q that is not decided by then does not count.

    Raises:
        ParameterError: `num_corrupted` is negative.

    >>> from byzshield.placement import mols
    >>> most_byzantine(mols(load=5, replication=3), num_corrupted=3)
    3
    """
    if num_corrupted < 0:
        raise ParameterError(f"num_corrupted must be at least 0; got {num_corrupted}")
    for row in rows(assignment, range(1, assignment.num_workers + 1), time_limit=time_limit):
        if row.result.upper_bound > num_corrupted:
            return row.result.num_byzantine - 1
    return assignment.num_workers
