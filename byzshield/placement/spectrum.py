"""The spectrum of an assignment: its second eigenvalue, which bounds the files that q workers can corrupt."""

from dataclasses import dataclass
from math import sqrt

import numpy as np

from byzshield.placement.assignment import Assignment

__all__ = ["Spectrum", "spectrum"]

TOLERANCE = 1e-9


@dataclass(frozen=True, kw_only=True)
class Spectrum:
    """The spectrum report of an assignment.

    Args:
        mu1: second eigenvalue of A A^T / (l r), in [0, 1]; the smaller, the better the graph expands, 1 if it is disconnected.
        second_singular_value: of A; sqrt(mu1 l r).
        ramanujan_limit: sqrt(l - 1) + sqrt(r - 1).
        is_ramanujan: whether the second singular value is within the limit: no infinite family of graphs does better.
    """

    mu1: float
    second_singular_value: float
    ramanujan_limit: float
    is_ramanujan: bool


def spectrum(assignment: Assignment) -> Spectrum:
    """Computes the report; O(K^2 f + K^3). mu1 is 1/r for MOLS and both Ramanujan cases.

    Reference: Konstantinidis and Ramamoorthy, "ByzShield", MLSys 2021, section 5; Burnwal, Sinha and Vidyasagar, "New and
    explicit constructions of unbalanced Ramanujan bipartite graphs" (definition of a biregular Ramanujan graph).

    Raises:
        PlacementError: the placement is too large to be analyzed.
    """
    eigenvalues = np.linalg.eigvalsh(assignment.shared.astype(np.float64))
    second = max(float(eigenvalues[-2]), 0.0) if len(eigenvalues) > 1 else 0.0
    limit = sqrt(assignment.load - 1) + sqrt(assignment.replication - 1)
    return Spectrum(
        mu1=second / (assignment.load * assignment.replication),
        second_singular_value=sqrt(second),
        ramanujan_limit=limit,
        is_ramanujan=sqrt(second) <= limit + TOLERANCE,
    )
