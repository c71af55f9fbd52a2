"""Steiner triple systems: files of three workers, so that any two workers share exactly one."""

from itertools import combinations

import numpy as np

from byzshield.errors import PlacementError
from byzshield.placement.assignment import PLACEMENTS, Assignment
from byzshield.placement.sizes import require_supported

__all__ = ["steiner"]


@PLACEMENTS.register("steiner")
def steiner(num_workers: int | None = None, replication: int | None = None) -> Assignment:
    """The balanced incomplete block design (K, 3, 1): K (K - 1) / 6 files, l = (K - 1) / 2, r = 3.

    Any two workers share a file, and as few as possible, so it suits detection (`vote.name = "aspis"`) where subset
    assignment has too many files; Aspis+ was published on such designs.

    Reference: R. C. Bose, "On the construction of balanced incomplete block designs", Annals of Eugenics, 1939 (K = 6 t + 3);
    Th. Skolem, "Some remarks on the triple systems of Steiner", Mathematica Scandinavica, 1958 (K = 6 t + 1).

    Args:
        num_workers: K, at least 7, with remainder 1 or 3 when divided by 6.
        replication: 3, if it is given.

    Raises:
        PlacementError: there is no such system, or it would be too large.

    >>> steiner(num_workers=7).workers_of.tolist()
    [[0, 1, 3], [0, 2, 4], [0, 5, 6], [1, 2, 6], [1, 4, 5], [2, 3, 5], [3, 4, 6]]
    """
    if num_workers is None:
        raise PlacementError("steiner needs the number of workers")
    if replication not in (None, 3):
        raise PlacementError(f"steiner has replication 3; got {replication}")
    if num_workers < 7 or num_workers % 6 not in (1, 3):
        raise PlacementError(f"steiner needs 7, 9, 13, 15, 19, 21, ... workers (6 t + 1 or 6 t + 3); got {num_workers}")
    require_supported(num_workers, (num_workers - 1) // 2)
    lines = _skolem(num_workers // 6) if num_workers % 6 == 1 else _bose(num_workers // 6)
    workers_of = np.array(sorted(sorted(line) for line in lines), dtype=np.int64)
    files_of = np.argsort(workers_of.ravel(), kind="stable").reshape(num_workers, -1) // 3
    return Assignment(scheme="steiner", files_of=files_of)


def _bose(t: int) -> list[list[int]]:
    """Worker x + n i is the point (x, i) of Z_n x Z_3, n = 2 t + 1; x * y = (x + y) / 2 in Z_n."""
    size = 2 * t + 1
    lines = [[x, x + size, x + 2 * size] for x in range(size)]
    for x, y in combinations(range(size), 2):
        middle = (x + y) * (t + 1) % size
        lines += [[x + size * i, y + size * i, middle + size * ((i + 1) % 3)] for i in range(3)]
    return lines


def _skolem(t: int) -> list[list[int]]:
    """As for Bose with n = 2 t, where x * x is x or x - t, and one more worker, the last."""
    size, last = 2 * t, 6 * t
    lines = [[x, x + size, x + 2 * size] for x in range(t)]
    lines += [[last, x + t + size * i, x + size * ((i + 1) % 3)] for x in range(t) for i in range(3)]
    for x, y in combinations(range(size), 2):
        total = (x + y) % size
        middle = total // 2 + (t if total % 2 else 0)
        lines += [[x + size * i, y + size * i, middle + size * ((i + 1) % 3)] for i in range(3)]
    return lines
