"""Closed forms and bounds: what is known of c_max(q) without a search."""

from math import floor

from byzshield.placement import Assignment, spectrum

__all__ = ["bound_from_fewer", "epsilon_baseline", "epsilon_frc", "floor_of", "spectral_bound"]


def spectral_bound(assignment: Assignment, num_byzantine: int, mu1: float | None = None) -> float | None:
    """gamma, an upper bound on c_max(q) from the expansion of the graph; None where r = 1, for which it is not defined.

    q workers reach at least beta = (q l / r) / (mu1 + (1 - mu1) q / K) files, and q l copies spread over so many files leave
    at most (q l - beta) / (t - 1) of them with the t copies that corrupt one: t - 1 = (r - 1) / 2 for a majority.

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
    return max(0.0, (copies - reached) / (assignment.threshold - 1))


def bound_from_fewer(fewer: int, num_byzantine: int, threshold: int) -> int:
    """The largest c_max(q) that c_max(q - 1) <= `fewer` allows, for q > t, where t copies corrupt a file.

    Of the best q workers, dropping one loses at most t c_max(q) / q files on average, because a file that is lost by dropping
    a worker has exactly t Byzantine copies. So c_max(q - 1) >= (1 - t/q) c_max(q).

    Args:
        fewer: c_max(q - 1), or an upper bound on it.
        num_byzantine: q.
        threshold: t.
    """
    if num_byzantine <= threshold:
        raise ValueError(f"the bound holds for more than {threshold} Byzantine workers; got {num_byzantine}")
    return fewer * num_byzantine // (num_byzantine - threshold)


def epsilon_baseline(num_byzantine: int, num_workers: int) -> float:
    """q / K: without redundancy each Byzantine worker corrupts its own file."""
    return num_byzantine / num_workers


def epsilon_frc(num_byzantine: int, num_workers: int, replication: int, threshold: int | None = None) -> float | None:
    """min(floor(q / t), K / r) r / K for groups of r workers (DETOX, DRACO); None where r does not divide K.

    Args:
        num_byzantine: q.
        num_workers: K.
        replication: r.
        threshold: t, the copies that corrupt a file; by default a majority.

    >>> round(epsilon_frc(3, 35, 5), 4)
    0.1429
    """
    if num_workers % replication:
        return None
    groups = num_workers // replication
    return min(num_byzantine // (threshold or replication // 2 + 1), groups) / groups


def floor_of(bound: float) -> int:
    """The largest whole number of files that a bound in floating point allows."""
    return floor(bound + 1e-9)
