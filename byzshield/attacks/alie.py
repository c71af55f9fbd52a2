"""A Little Is Enough."""

from itertools import pairwise
from statistics import NormalDist
from typing import Final

import numpy as np

from byzshield.arrays import Float32
from byzshield.attacks.attack import ATTACKS, Attack, Situation, require_positive
from byzshield.errors import ParameterError

__all__ = ["ALIE"]

BLOCK: Final = 1 << 16  # columns at a time


@ATTACKS.register("alie")
class ALIE(Attack):
    """Sends mean + sign * z * std of each coordinate, close enough to honest gradients to pass for one.

    Reference: Baruch, Baruch and Goldberg, "A Little Is Enough: Circumventing Defenses for Distributed Learning",
    NeurIPS 2019, algorithm 3 (the standard deviation is that of the population, as in the authors' code). The ByzShield code
    (Konstantinidis and Ramamoorthy, MLSys 2021) is z = 1, sign = 1, with knowledge of all files: its mean and deviation over
    all K l copies are those over the f files, since each file has r copies.

    Args:
        z: deviations from the mean, > 0; None takes the paper's z_max = Phi^-1((n - m - s) / (n - m)) with
            s = floor(n / 2) + 1 - m, for the n files of a step of which the adversary holds m. Where the fraction leaves
            [1/2, 1 - 1/n] (m = 0, or m a majority of the files) it is moved to the nearer end.
        sign: -1 or 1, on which side of the mean.

    Raises:
        ParameterError: z or sign out of range.
    """

    collusive = True

    def __init__(self, *, z: float | None = None, sign: int = -1) -> None:
        if z is not None:
            require_positive("z", z)
        if sign not in (-1, 1):
            raise ParameterError(f"sign must be -1 or 1; got {sign}")
        self.z = z
        self.sign = sign

    @property
    def needs_num_corrupted(self) -> bool:
        return self.z is None

    def forge(self, gradients: Float32, situation: Situation) -> Float32:
        z = self.z if self.z is not None else z_max(situation.num_rows, situation.num_corrupted)
        size = gradients.shape[1]
        forged = np.empty(size, dtype=gradients.dtype)
        # numpy takes a copy in float64 of what it takes the deviation of. A last block of one column, which it would add up in
        # another order, belongs to the block before.
        edges = [*range(0, max(size - 1, 1), BLOCK), size]
        for start, stop in pairwise(edges):
            rows = gradients[:, start:stop]
            shift = self.sign * z * rows.std(axis=0, dtype=np.float64)
            forged[start:stop] = rows.mean(axis=0, dtype=np.float64) + shift
        return forged


def z_max(num_rows: int, num_corrupted: int) -> float:
    """The paper's z for `num_corrupted` bad rows of `num_rows`; see `ALIE` for where it is bounded.

    >>> round(z_max(50, 24), 2)
    1.43
    """
    honest = num_rows - num_corrupted
    needed = num_rows // 2 + 1 - num_corrupted
    fraction = (honest - needed) / honest if honest > 0 else 1.0
    return NormalDist().inv_cdf(min(max(fraction, 0.5), 1 - 1 / max(num_rows, 2)))
