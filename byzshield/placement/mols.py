"""Placement by mutually orthogonal Latin squares (MOLS)."""

from byzshield.errors import PlacementError
from byzshield.placement.assignment import PLACEMENTS, Assignment, from_pairs, is_prime, require_odd, resolve_sizes

__all__ = ["mols"]


@PLACEMENTS.register("mols")
def mols(*, load: int | None = None, replication: int | None = None, num_workers: int | None = None) -> Assignment:
    """r Latin squares of order l: K = r l workers, f = l^2 files.

    File i l + j is cell (i, j); square a = 1..r is L_a(i, j) = a i + j mod l; worker (a - 1) l + s holds the cells where
    L_a = s. Workers of different squares share exactly one file, workers of one square none.

    Reference: Konstantinidis and Ramamoorthy, "ByzShield", MLSys 2021, section 4.1.

    Args:
        load: l, a prime.
        replication: r, odd, 3 <= r < l.
        num_workers: K = r l; stands in for one of the others.

    Raises:
        PlacementError: the sizes are missing or break one of these rules.

    >>> mols(load=5, replication=3).files_of[0].tolist()
    [0, 9, 13, 17, 21]
    """
    load, replication = resolve_sizes("mols", num_workers=num_workers, load=load, replication=replication)
    require_odd(replication)
    if not is_prime(load):
        raise PlacementError(f"mols needs a prime load; got l = {load}")
    if not 3 <= replication < load:
        raise PlacementError(f"mols needs 3 <= replication < load; got r = {replication} and l = {load}")
    pairs = [
        (square * load + ((square + 1) * row + column) % load, row * load + column)
        for square in range(replication)
        for row in range(load)
        for column in range(load)
    ]
    return from_pairs("mols", replication * load, pairs)
