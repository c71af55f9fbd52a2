"""Groups of workers that hold one file each: what q of them corrupt at worst needs no search."""

import numpy as np
from numpy.typing import NDArray

from byzshield.placement import Assignment

__all__ = ["first_worst_in_groups"]


def first_worst_in_groups(assignment: Assignment, num_byzantine: int) -> tuple[int, ...]:
    """The lexicographically first of the q-sets that corrupt the most files where each worker has one; O(K f log f).

    q workers corrupt min(floor(q / t), f) files, where t copies corrupt one. So worker after worker is taken unless too few would
    be left for so many files.

    Args:
        assignment: a placement of load 1.
        num_byzantine: q, 0 <= q <= K.
    """
    target = min(num_byzantine // assignment.threshold, assignment.num_files)
    held = np.zeros(assignment.num_files, dtype=np.int64)
    room = np.full(assignment.num_files, assignment.replication)
    chosen: list[int] = []
    for worker, file in enumerate(assignment.files_of[:, 0].tolist()):
        if len(chosen) == num_byzantine:
            break
        room[file] -= 1
        held[file] += 1
        if _reachable(assignment.threshold - held, room, num_byzantine - len(chosen) - 1) >= target:
            chosen.append(worker)
        else:
            held[file] -= 1
    return tuple(chosen)


def _reachable(missing: NDArray[np.int64], room: NDArray[np.int64], count: int) -> int:
    """The most files that have all copies that corrupt them once `count` more workers are chosen, the cheapest files first."""
    cheapest = np.sort(missing[missing <= room].clip(min=0))
    return int(np.searchsorted(cheapest.cumsum(), count, side="right"))
