"""Fractional repetition: groups of r workers, each group computing one file."""

import numpy as np

from byzshield.errors import PlacementError
from byzshield.placement.assignment import PLACEMENTS, Assignment
from byzshield.placement.sizes import require_copies, require_supported

__all__ = ["frc"]


@PLACEMENTS.register("frc")
def frc(num_workers: int | None = None, replication: int | None = None) -> Assignment:
    """K / r groups of r workers (l = 1, f = K / r); r' Byzantine workers in one group distort its file.

    Reference: Rajput et al., "DETOX", NeurIPS 2019; Chen et al., "DRACO", ICML 2018 (repetition code).

    Args:
        num_workers: K, a multiple of r.
        replication: r; odd for a vote.

    Raises:
        PlacementError: a size is missing or too large, or r does not divide K.

    >>> frc(num_workers=6, replication=3).files_of.ravel().tolist()
    [0, 0, 0, 1, 1, 1]
    """
    if num_workers is None or replication is None:
        raise PlacementError("frc needs the number of workers and the replication")
    require_copies(replication)
    if num_workers < 1 or num_workers % replication:
        raise PlacementError(
            f"frc needs a number of workers that the replication divides; got {num_workers} workers and r = {replication}"
        )
    require_supported(num_workers, 1)
    return Assignment(scheme="frc", files_of=(np.arange(num_workers) // replication)[:, None])
