"""Placement by mutually orthogonal Latin squares (MOLS)."""

import numpy as np

from byzshield.errors import PlacementError
from byzshield.placement.assignment import PLACEMENTS, Assignment
from byzshield.placement.galois_field import field, prime_power
from byzshield.placement.sizes import require_copies, resolve_sizes

__all__ = ["mols"]


@PLACEMENTS.register("mols")
def mols(load: int | None = None, replication: int | None = None, *, num_workers: int | None = None) -> Assignment:
    """r Latin squares of order l: K = r l workers, f = l^2 files.

    File i l + j is cell (i, j); square a = 1..r is L_a(i, j) = a i + j over GF(l); worker (a - 1) l + s holds the cells where
    L_a = s. Workers of different squares share exactly one file, workers of one square none.

    Reference: Konstantinidis and Ramamoorthy, "ByzShield", MLSys 2021, section 4.1 (there for prime l).

    Args:
        load: l, a prime power.
        replication: r, 2 <= r < l; odd for a vote.
        num_workers: K = r l; stands in for one of the others.

    Raises:
        PlacementError: the sizes are missing or break one of these rules.

    >>> mols(load=5, replication=3).files_of[0].tolist()
    [0, 9, 13, 17, 21]
    """
    load, replication = resolve_sizes("mols", num_workers=num_workers, load=load, replication=replication)
    require_copies(replication)
    if prime_power(load) is None:
        raise PlacementError(f"mols needs a load that is a prime power (3, 4, 5, 7, 8, 9, 11, ...); got l = {load}")
    if not 2 <= replication < load:
        raise PlacementError(f"mols needs 2 <= replication < load; got r = {replication} and l = {load}")
    order = field(load)
    # squares[a, i, j] = L_(a+1)(i, j); a stable sort of the cells by symbol lists each worker's files in ascending order.
    squares = order.add[order.multiply[1 : replication + 1], :]
    cells = np.argsort(squares.reshape(replication, load * load), axis=1, kind="stable")
    return Assignment(scheme="mols", files_of=cells.reshape(replication * load, load))
