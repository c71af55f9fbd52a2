"""Subset assignment: one file for each set of r workers."""

from itertools import chain, combinations
from math import comb

import numpy as np

from byzshield.errors import PlacementError
from byzshield.placement.assignment import PLACEMENTS, Assignment
from byzshield.placement.sizes import require_copies, require_supported

__all__ = ["aspis"]


@PLACEMENTS.register("aspis")
def aspis(num_workers: int | None = None, replication: int | None = None) -> Assignment:
    """C(K, r) files, one for each set of r workers; l = C(K - 1, r - 1).

    Any two workers share C(K - 2, r - 2) files, so nobody can disagree with many others unseen: meant for `vote.name = "aspis"`.

    Reference: Konstantinidis, Vaswani and Ramamoorthy, "Detection and Mitigation of Byzantine Attacks in Distributed
    Training", IEEE/ACM Transactions on Networking, 2023 (Aspis; in part at ISIT 2022).

    Args:
        num_workers: K, at least r.
        replication: r; odd for a vote.

    Raises:
        PlacementError: a size is missing, r is more than K, or there would be too many files.

    >>> aspis(num_workers=4, replication=3).files_of.tolist()
    [[0, 1, 2], [0, 1, 3], [0, 2, 3], [1, 2, 3]]
    """
    if num_workers is None or replication is None:
        raise PlacementError("aspis needs the number of workers and the replication")
    require_copies(replication)
    if num_workers < replication:
        raise PlacementError(f"aspis needs at least as many workers as copies; got {num_workers} workers and r = {replication}")
    for size in range(1, min(replication, num_workers - replication) + 1):  # the binomials of huge sizes are never computed
        require_supported(num_workers, comb(num_workers - 1, size - 1))
    num_files, load = comb(num_workers, replication), comb(num_workers - 1, replication - 1)
    workers = chain.from_iterable(combinations(range(num_workers), replication))
    workers_of = np.fromiter(workers, dtype=np.int64, count=num_files * replication)
    files_of = np.argsort(workers_of, kind="stable").reshape(num_workers, load) // replication
    return Assignment(scheme="aspis", files_of=files_of)
