"""Closed forms and bounds: what is known of c_max(q) without a search."""

from math import floor

from byzshield.placement import Assignment, spectrum

__all__ = ["bound_from_fewer", "epsilon_baseline", "epsilon_frc", "floor_of", "spectral_bound"]


def spectral_bound(assignment: Assignment, num_byzantine: int, mu1: float | None = None) -> float | None:
    """gamma, an upper bound on c_max(q) from the expansion of the graph; None where r = 1, for which it is not defined.

    q workers reach at least beta = (q l / r) / (mu1 + (1 - mu1) q / K) files, and q l copies spread over so many files leave
    at most (q l - beta) / ((r - 1) / 2) of them with a majority.

    Reference: Konstantinidis and Ramamoorthy, "ByzShield", MLSys 2021, section 5 (eq. for gamma).

    Args:
        assignment: the placement.
        num_byzantine: q, 0 <= q <= K.
        mu1: the second eigenvalue, if it is known already.

    >>> from byzshield.placement import mols
    >>> round(spectral_bound(mols(load=5, replication=3), 3), 2)
    4.29
    """
    replication = assignment.replication
    if replication == 1:
        return None
    if mu1 is None:
        mu1 = spectrum(assignment).mu1
    copies = num_byzantine * assignment.load
    reached = copies / replication / (mu1 + (1 - mu1) * num_byzantine / assignment.num_workers)
    return max(0.0, (copies - reached) / ((replication - 1) / 2))


def bound_from_fewer(fewer: int, num_byzantine: int, majority: int) -> int:
    """The largest c_max(q) that c_max(q - 1) <= `fewer` allows, for q > r'.

    Of the best q workers, dropping one loses at most r' c_max(q) / q files on average, because a file that is lost by dropping
    a worker has exactly r' Byzantine copies. So c_max(q - 1) >= (1 - r'/q) c_max(q).

    Args:
        fewer: c_max(q - 1), or an upper bound on it.
        num_byzantine: q.
        majority: r'.
    """
    if num_byzantine <= majority:
        raise ValueError(f"the bound holds for more than {majority} Byzantine workers; got {num_byzantine}")
    return fewer * num_byzantine // (num_byzantine - majority)


def epsilon_baseline(num_byzantine: int, num_workers: int) -> float:
    """q / K: without redundancy each Byzantine worker corrupts its own file."""
    return num_byzantine / num_workers


def epsilon_frc(num_byzantine: int, num_workers: int, replication: int) -> float | None:
    """min(floor(q / r'), K / r) r / K for groups of r workers (DETOX, DRACO); None where r does not divide K.

    >>> round(epsilon_frc(3, 35, 5), 4)
    0.1429
    """
    if num_workers % replication:
        return None
    groups = num_workers // replication
    return min(num_byzantine // ((replication + 1) // 2), groups) / groups


def floor_of(bound: float) -> int:
    """The largest whole number of files that a bound in floating point allows."""
    return floor(bound + 1e-9)
