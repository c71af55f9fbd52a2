"""No redundancy: every worker computes a file of its own."""

import numpy as np

from byzshield.errors import PlacementError
from byzshield.placement.assignment import PLACEMENTS, Assignment
from byzshield.placement.sizes import require_supported

__all__ = ["baseline"]


@PLACEMENTS.register("baseline")
def baseline(num_workers: int | None = None) -> Assignment:
    """K files, one a worker (r = l = 1): q Byzantine workers distort q files.

    Args:
        num_workers: K >= 1.

    Raises:
        PlacementError: K is missing, not positive, or too large.

    >>> baseline(num_workers=3).files_of.tolist()
    [[0], [1], [2]]
    """
    if num_workers is None or num_workers < 1:
        raise PlacementError(f"baseline needs the number of workers, at least 1; got {num_workers}")
    require_supported(num_workers, 1)
    return Assignment(scheme="baseline", files_of=np.arange(num_workers)[:, None])
