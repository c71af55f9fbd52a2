"""The worst case: which q workers corrupt the most files after the vote."""

from dataclasses import replace
from math import comb

from byzshield.arguments import checked
from byzshield.distortion import cache
from byzshield.distortion.exact.enumeration import first_worst_set
from byzshield.distortion.groups import first_worst_in_groups
from byzshield.distortion.result import WorstCase, corrupted_files, result_of
from byzshield.distortion.subsets import has_all_subsets
from byzshield.errors import ParameterError
from byzshield.placement import Assignment

__all__ = ["worst_case"]

# Up to so many sets numpy enumerates them in about a second, which is what loading the compiled search takes.
MOST_ENUMERATED = 50_000
# The enumeration takes K^2 f numbers of memory.
MOST_NUMBERS = 40_000_000


@checked
def worst_case(
    assignment: Assignment,
    num_byzantine: int,
    *,
    threshold: int | None = None,
    time_limit: float | None = None,
    at_most: int | None = None,
    use_cache: bool = True,
) -> WorstCase:
    """Finds q workers that corrupt the most files, and proves that no q workers corrupt more.

    The witness of an exact result is the lexicographically first of the best sets, so every process on every machine finds
    the same one (if a time limit ends the search between the proof and that, it is the best set met).

    Args:
        assignment: the placement.
        num_byzantine: q, 0 <= q <= K.
        threshold: copies in Byzantine hands that corrupt a file; by default the assignment's: a majority, or all r where
            disagreements are arbitrated.
        time_limit: seconds to search before returning the best set met and a proved upper bound; None to search to the end.
        at_most: a bound on c_max(q) that the caller has proved, for example from c_max(q - 1); it saves work.
        use_cache: whether to look for the result on disk, and to keep it there once it is proved.

    Raises:
        ParameterError: q is out of range, or the time limit is not positive.
        PlacementError: the placement is too large to be searched.
        SearchInterrupted: Ctrl-C during a long search; it carries the best set met and the bound proved so far.
    """
    if threshold is not None:
        assignment = replace(assignment, threshold=threshold)
    num_workers = assignment.num_workers
    assignment.require_workers(num_byzantine)
    if time_limit is not None and not time_limit > 0:
        raise ParameterError(f"the time limit must be positive; got {time_limit} seconds")
    if num_byzantine < assignment.threshold or assignment.replication == 1 or has_all_subsets(assignment):
        # No file is within reach, every set of q workers corrupts its own q l files, or all workers are interchangeable.
        witness = tuple(range(num_byzantine))
        return result_of(assignment, witness, len(corrupted_files(assignment, witness)))
    if assignment.load == 1:
        witness = first_worst_in_groups(assignment, num_byzantine)
        return result_of(assignment, witness, len(corrupted_files(assignment, witness)))
    numbers = num_workers**2 * assignment.num_files
    if comb(num_workers, num_byzantine) <= MOST_ENUMERATED and numbers <= MOST_NUMBERS:
        witness = first_worst_set(assignment, num_byzantine)
        return result_of(assignment, witness, len(corrupted_files(assignment, witness)))
    if use_cache and (known := cache.load(assignment, num_byzantine)) is not None:
        return known
    from byzshield.distortion.exact.search import search  # it loads numba, which the cases above do not need

    most = assignment.num_files if at_most is None else at_most
    result, canonical = search(assignment, num_byzantine, time_limit, most)
    if use_cache and result.exact and canonical:
        cache.store(assignment, result)
    return result
