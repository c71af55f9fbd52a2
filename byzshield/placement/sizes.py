"""Checks of the sizes of a placement: K workers, load l, replication r."""

from byzshield.errors import PlacementError

__all__ = ["require_copies", "require_supported", "resolve_sizes"]

MOST_COPIES = 10_000_000


def resolve_sizes(scheme: str, *, num_workers: int | None, load: int | None, replication: int | None) -> tuple[int, int]:
    """Returns (load, replication) of a scheme with K = r l, from any two of the three sizes.

    Raises:
        PlacementError: fewer than two are known, they disagree, one is not positive, or the placement would be too large.
    """
    for name, size in (("num_workers", num_workers), ("load", load), ("replication", replication)):
        if size is not None and size < 1:
            raise PlacementError(f"{name} must be at least 1; got {size}")
    if load is None and num_workers is not None and replication is not None:
        load = _quotient(scheme, num_workers, "replication", replication)
    elif replication is None and num_workers is not None and load is not None:
        replication = _quotient(scheme, num_workers, "load", load)
    if load is None or replication is None:
        raise PlacementError(f"{scheme} needs two of load, replication and the number of workers")
    if num_workers is not None and num_workers != load * replication:
        raise PlacementError(
            f"{scheme} needs num_workers = load * replication; got {num_workers} workers, load {load}, "
            f"replication {replication}: use {load * replication} workers"
        )
    require_supported(load * replication, load)
    return load, replication


def require_copies(replication: int) -> None:
    """Raises PlacementError unless r is at least 1."""
    if replication < 1:
        raise PlacementError(f"replication must be at least 1; got r = {replication}")


def require_supported(num_workers: int, load: int) -> None:
    """Raises PlacementError if K l is more than MOST_COPIES; to be asked before anything of that size is made."""
    if num_workers * load > MOST_COPIES:
        raise PlacementError(
            f"a placement is supported up to {MOST_COPIES:,} copies of files (K l); got K = {num_workers} and l = {load}"
        )


def _quotient(scheme: str, num_workers: int, name: str, size: int) -> int:
    if num_workers % size:
        raise PlacementError(
            f"{scheme} needs num_workers = load * replication; got {num_workers} workers, which {name} {size} does not divide"
        )
    return num_workers // size
