"""Placement by Ramanujan bipartite graphs, cases 1 and 2."""

from math import isqrt

import numpy as np

from byzshield.errors import PlacementError
from byzshield.placement.assignment import PLACEMENTS, Assignment
from byzshield.placement.galois_field import is_prime
from byzshield.placement.sizes import require_copies, require_supported, resolve_sizes

__all__ = ["ramanujan1", "ramanujan2"]


@PLACEMENTS.register("ramanujan1")
def ramanujan1(load: int | None = None, replication: int | None = None, *, num_workers: int | None = None) -> Assignment:
    """Case 1 (m < s): the columns of B are the workers; K = m s, f = s^2, l = s, r = m.

    B is the s x m array of blocks P^(i k), P the s x s cyclic shift: P^n has its ones at (t, (t + n) mod s). Workers of
    different block columns share exactly one file, workers of one block column none.

    Reference: Konstantinidis and Ramamoorthy, "ByzShield", MLSys 2021, section 4.2; Burnwal, Sinha and Vidyasagar,
    "New and explicit constructions of unbalanced Ramanujan bipartite graphs".

    Args:
        load: s, a prime.
        replication: m, 2 <= m < s; odd for a vote.
        num_workers: K = m s; stands in for one of the others.

    Raises:
        PlacementError: the sizes are missing or break one of these rules.
    """
    order, width = resolve_sizes("ramanujan1", num_workers=num_workers, load=load, replication=replication)
    require_copies(width)
    if not is_prime(order):
        raise PlacementError(f"ramanujan1 needs a prime load; got s = {order}")
    if not 2 <= width < order:
        raise PlacementError(f"ramanujan1 needs 2 <= replication < load; got m = {width} and s = {order}")
    # Column k s + c has a one in each block row i, at row (c - i k) mod s of the block.
    k, c, i = np.ogrid[:width, :order, :order]
    return Assignment(scheme="ramanujan1", files_of=(i * order + (c - i * k) % order).reshape(width * order, order))


@PLACEMENTS.register("ramanujan2")
def ramanujan2(m: int | None = None, replication: int | None = None, *, num_workers: int | None = None) -> Assignment:
    """Case 2 (m >= s, s divides m): the rows of B are the workers; K = s^2, f = m s, l = m, r = s.

    With m = s, workers of different block rows share exactly one file; with m > s they share m / s.

    Reference: as `ramanujan1`.

    Args:
        m: a multiple of s; the load.
        replication: s, a prime; odd for a vote.
        num_workers: K = s^2; stands in for the replication.

    Raises:
        PlacementError: the sizes are missing or break one of these rules.
    """
    if replication is None and num_workers is not None and num_workers > 0:
        replication = isqrt(num_workers)
    if m is None or replication is None:
        raise PlacementError("ramanujan2 needs m and the replication (or the number of workers, its square)")
    if num_workers is not None and num_workers != replication**2:
        raise PlacementError(f"ramanujan2 needs num_workers = replication^2; got {num_workers} workers and s = {replication}")
    require_copies(replication)
    require_supported(replication**2, m)
    if not is_prime(replication):
        raise PlacementError(f"ramanujan2 needs a prime replication; got s = {replication}")
    if m < replication or m % replication:
        raise PlacementError(f"ramanujan2 needs an m that the replication divides; got m = {m} and s = {replication}")
    # Row i s + t has a one in each block column k, at column (t + i k) mod s of the block.
    i, t, k = np.ogrid[:replication, :replication, :m]
    return Assignment(scheme="ramanujan2", files_of=(k * replication + (t + i * k) % replication).reshape(replication**2, m))
