"""A Little Is Enough."""

from collections.abc import Iterator
from itertools import pairwise
from statistics import NormalDist
from typing import Final

import numpy as np

from byzshield.arrays import Float32, Float64
from byzshield.attacks.attack import ATTACKS, Attack, Situation, require_positive
from byzshield.attacks.line import Line, Optimized
from byzshield.choices import require_choice
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
            [1/2, 1 - 1/n] (m = 0, or m a majority of the files) it is moved to the nearer end. "optimized" tries at each step
            which z takes the server's rule farthest from the mean, by the search of LPD-EPFL's robust-collaborative-learning:
            16 tries from 0; "optimized_byzfl" by that of ByzFL: 20, with steps from 10, that never step back.
        sign: -1 or 1, on which side of the mean.

    Raises:
        ParameterError: z or sign out of range.
    """

    collusive = True

    def __init__(self, *, z: float | Optimized | None = None, sign: int = -1) -> None:
        if isinstance(z, str):
            require_choice("z", z, Optimized)
        elif z is not None:
            require_positive("z", z)
        if sign not in (-1, 1):
            raise ParameterError(f"sign must be -1 or 1; got {sign}")
        self.z = z
        self.sign = sign

    @property
    def needs_num_corrupted(self) -> bool:
        return self.z is None or self.needs_rule

    @property
    def needs_rule(self) -> bool:
        return isinstance(self.z, str)

    def forge(self, gradients: Float32, situation: Situation) -> Float32:
        if isinstance(self.z, str):
            assert situation.defense is not None
            mean, deviation = _moments(gradients)
            line = Line(mean, np.multiply(self.sign, deviation, out=deviation))
            return line.worst(situation.defense, mean=mean, search=self.z, dtype=gradients.dtype)
        z = self.z if self.z is not None else z_max(situation.num_rows, situation.num_corrupted)
        forged = np.empty(gradients.shape[1], dtype=gradients.dtype)
        for columns in _blocks(forged.size):
            rows = gradients[:, columns]
            shift = self.sign * z * rows.std(axis=0, dtype=np.float64)
            forged[columns] = rows.mean(axis=0, dtype=np.float64) + shift
        return forged


def _moments(gradients: Float32) -> tuple[Float64, Float64]:
    """The mean and the standard deviation of each column, [d] each."""
    mean, deviation = np.empty((2, gradients.shape[1]))
    for columns in _blocks(mean.size):
        rows = gradients[:, columns]
        mean[columns], deviation[columns] = rows.mean(axis=0, dtype=np.float64), rows.std(axis=0, dtype=np.float64)
    return mean, deviation


def _blocks(size: int) -> Iterator[slice]:
    """The columns in blocks, since numpy takes a copy in float64 of what it takes the deviation of.

    A last block of one column, which it would add up in another order, belongs to the block before.
    """
    return (slice(*edges) for edges in pairwise([*range(0, max(size - 1, 1), BLOCK), size]))


def z_max(num_rows: int, num_corrupted: int) -> float:
    """The paper's z for `num_corrupted` bad rows of `num_rows`; see `ALIE` for where it is bounded.

    >>> round(z_max(50, 24), 2)
    1.43
    """
    honest = num_rows - num_corrupted
    needed = num_rows // 2 + 1 - num_corrupted
    fraction = (honest - needed) / honest if honest > 0 else 1.0
    return NormalDist().inv_cdf(min(max(fraction, 0.5), 1 - 1 / max(num_rows, 2)))
