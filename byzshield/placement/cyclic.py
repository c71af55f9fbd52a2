"""Cyclic placement: worker w computes files w, w + 1, ..., w + 2s, counted around a circle."""

import numpy as np

from byzshield.errors import PlacementError
from byzshield.placement.assignment import PLACEMENTS, Assignment
from byzshield.placement.sizes import require_copies, require_supported

__all__ = ["cyclic"]


@PLACEMENTS.register("cyclic")
def cyclic(num_workers: int | None = None, replication: int | None = None, load: int | None = None) -> Assignment:
    """K files on a circle; r = l = 2s + 1, the support of DRACO's cyclic code.

    DRACO's workers send one complex combination of their files, and its decoder recovers the sum although up to s combinations
    are wrong: that is `cluster.exchange = "coded"`. In the others each copy is voted on as in every other placement.

    Reference: Chen et al., "DRACO", ICML 2018, section 4.2.

    Args:
        num_workers: K, at least r.
        replication: r; 2s + 1 for a vote or the code.
        load: l; stands in for the replication, which it equals.

    Raises:
        PlacementError: a size is missing or too large, r is more than K, or load and replication differ.

    >>> cyclic(num_workers=5, replication=3).files_of.tolist()
    [[0, 1, 2], [1, 2, 3], [2, 3, 4], [0, 3, 4], [0, 1, 4]]
    """
    copies = load if replication is None else replication
    if num_workers is None or copies is None:
        raise PlacementError("cyclic needs the number of workers and the replication")
    if load is not None and load != copies:
        raise PlacementError(f"cyclic needs load = replication; got load {load} and replication {copies}: give one of them")
    require_copies(copies)
    if num_workers < copies:
        raise PlacementError(f"cyclic needs at least as many workers as copies; got {num_workers} workers and r = {copies}")
    require_supported(num_workers, copies)
    return Assignment(scheme="cyclic", files_of=(np.arange(num_workers)[:, None] + np.arange(copies)) % num_workers)
