"""The placements that fit a number of workers, exactly or nearly."""

from collections.abc import Iterator

from byzshield.errors import PlacementError
from byzshield.placement.assignment import Assignment, build

__all__ = ["fitting_placements"]


def fitting_placements(num_workers: int, *, most_copies: int, slack: int, even: bool = False) -> Iterator[Assignment]:
    """Yields every placement of K - slack to K + slack workers, K exactly or else as near as the scheme allows.

    Schemes that exist for every K are built with K workers only, FRC and Steiner systems (r = 3) with the most up to K, Ramanujan
    2 with m = s: a larger m repeats the same files m / s times and has the same epsilon.

    Args:
        num_workers: K >= 1.
        most_copies: the largest replication to consider.
        slack: by how many workers a placement may differ from K, at least 0.
        even: replications 2, 4, ..., where somebody settles what disagrees, instead of 3, 5, ...
    """
    yield build("baseline", num_workers=num_workers)
    for replication in range(2 if even else 3, min(most_copies, num_workers + slack) + 1, 2):
        in_groups = num_workers - num_workers % replication
        if replication <= in_groups and num_workers - in_groups <= slack:
            yield build("frc", num_workers=in_groups, replication=replication)
        if replication <= num_workers:
            yield build("cyclic", num_workers=num_workers, replication=replication)
        for near in range(max(1, num_workers - slack), num_workers + slack + 1):
            for scheme in ("mols", "ramanujan1", "ramanujan2"):
                try:
                    yield build(scheme, num_workers=near, replication=replication, m=replication)
                except PlacementError:
                    continue
    for near in () if even or most_copies < 3 else range(num_workers, max(0, num_workers - slack - 1), -1):
        try:
            yield build("steiner", num_workers=near)
        except PlacementError:
            continue
        break
