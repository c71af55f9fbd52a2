"""The attacks of Fang et al.: against the trimmed mean or the median, and against Krum."""

import math
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from byzshield.aggregation.kernels.columns import blocks
from byzshield.arrays import Float32, Float64
from byzshield.attacks.attack import ATTACKS, Attack, Situation
from byzshield.attacks.finite import finite_rows
from byzshield.attacks.krum_trial import KrumTrial
from byzshield.attacks.min_max import about_the_mean
from byzshield.choices import require_choice
from byzshield.errors import ParameterError

__all__ = ["Fang", "FangKrum"]

BLOCK: Final = 1 << 13  # columns at a time: float64 copies of them stay in cache
LEAST: Final = 1e-5  # of lambda

Version = Literal["full", "partial"]
Start = Literal["squared", "unsquared", "theorem"]
Rows = NDArray[Any]


@ATTACKS.register("fang")
class Fang(Attack):
    """Sends values just beyond the least or the greatest of each coordinate, on the side that turns the mean back.

    Where the mean is positive, the value lies below all known ones: between the least, m, and m / b if m > 0, or b m if not.
    Where it is negative, it lies above all: between the greatest, M, and b M if M > 0, or M / b if not. Where it is 0, so is
    what is sent. The authors draw for each colluder alone; here all send the same, as the vote asks of them.

    Code that is passed on (the notebooks of NDSS 2021) adds both kinds of value up where the mean is positive, and sends 0 where
    it is negative; that does little harm, and helps where most means are positive.

    Reference: Fang, Cao, Jia and Gong, "Local Model Poisoning Attacks to Byzantine-Robust Federated Learning", USENIX Security
    2020, section 4.3.

    Args:
        b: > 1, how far beyond a value may be.
        version: "full" as above; "partial", for an adversary that knows its own gradients alone, sends mean - 3.5 std sign(mean),
            in the middle of what the paper draws from.

    Raises:
        ParameterError: b or version out of range.
    """

    collusive = True

    def __init__(self, *, b: float = 2.0, version: Version = "full") -> None:
        if not 1 < b < math.inf:
            raise ParameterError(f"b must be finite and greater than 1; got {b}")
        require_choice("version", version, Version)
        self.b = b
        self.version = version

    def forge(self, gradients: Float32, situation: Situation) -> Float32:
        rows, _ = finite_rows(gradients, ())
        if not len(rows):
            return np.array(gradients[0])
        largest = float(np.finfo(rows.dtype).max)
        forged = np.empty(rows.shape[1], rows.dtype)
        with np.errstate(over="ignore"):
            for block in blocks(0, forged.size, BLOCK):
                columns = rows[:, block]
                values = self._beyond(columns, situation.rng) if self.version == "full" else _three_and_a_half(columns)
                forged[block] = np.clip(values, -largest, largest)
        return forged

    def _beyond(self, columns: Rows, rng: np.random.Generator) -> Float64:
        sign = np.sign(columns.mean(axis=0, dtype=np.float64))
        edge = np.where(sign < 0, columns.max(axis=0), columns.min(axis=0)).astype(np.float64)
        # Away from the mean's sign: an edge on its own side of 0 shrinks, one on the other side grows.
        end = np.where(sign * edge > 0, edge / self.b, edge * self.b)
        return np.asarray(np.where(sign == 0, 0.0, edge + rng.random(len(edge)) * (end - edge)))


def _three_and_a_half(columns: Rows) -> Float64:
    mean = columns.mean(axis=0, dtype=np.float64)
    return np.asarray(mean - 3.5 * columns.std(axis=0, dtype=np.float64) * np.sign(mean))


@ATTACKS.register("fang_krum")
class FangKrum(Attack):
    """Sends -lambda sign(mean), with a lambda that is halved until Krum picks what is sent.

    Krum is tried among the honest rows and as many copies as the adversary sends. If it has picked none before lambda is at most
    1e-5, that is what is sent.

    Reference: Fang et al., USENIX Security 2020, section 4.2, on gradients in place of models.

    Args:
        start: the first lambda, for n rows of which f are forged, where the least score is that of the honest row whose n - f - 2
            nearest other ones are nearest: "squared", the least score over (n - f - 1) sqrt(d), plus the largest distance from
            the mean over sqrt(d); "unsquared", the same with scores that add up distances, not their squares; "theorem", the
            paper's bound, sqrt(least score / ((n - 2f - 1) d)) plus the largest norm over sqrt(d).

    Raises:
        ParameterError: start is none of these.
    """

    collusive = True
    compiled = True

    def __init__(self, *, start: Start = "squared") -> None:
        require_choice("start", start, Start)
        self.start = start

    @property
    def needs_num_corrupted(self) -> bool:
        return True

    def forge(self, gradients: Float32, situation: Situation) -> Float32:
        rows, honest = finite_rows(gradients, situation.corrupted)
        if not honest:
            return np.array(gradients[0])
        sign, norms, along, deviations = _measured(rows)
        norms, along, deviations = norms[honest], along[honest], deviations[honest]
        krum = KrumTrial(rows, honest, situation.num_corrupted)
        factor = self._first(krum.distances, norms, deviations, situation.num_corrupted, d=max(1, len(sign)))
        length = np.count_nonzero(sign)
        while factor > LEAST and not krum.best(1, norms + 2 * factor * along + factor**2 * length):  # norm(x + factor sign)^2
            factor /= 2
        return np.asarray(-factor * sign, dtype=rows.dtype)

    def _first(self, distances: Float64, norms: Float64, deviations: Float64, num_forged: int, *, d: int) -> float:
        """The first lambda.

        Args:
            distances: squared, among the h honest rows, [h, h].
            norms: squared, [h].
            deviations: squared distances from the mean, [h].
            num_forged: f.
            d: columns.
        """
        others = np.sort(distances, axis=1)[:, 1 : max(1, len(distances) - 1)]  # without each row itself, and the farthest
        n = len(distances) + num_forged
        if self.start == "theorem":
            return float(np.sqrt(others.sum(axis=1).min() / (max(1, n - 2 * num_forged - 1) * d)) + np.sqrt(norms.max() / d))
        least = (others if self.start == "squared" else np.sqrt(others)).sum(axis=1).min()
        return float(least / (max(1, n - num_forged - 1) * np.sqrt(d)) + np.sqrt(deviations.max() / d))


def _measured(rows: Rows) -> tuple[NDArray[np.int8], Float64, Float64, Float64]:
    """The signs of the mean, [d], and of each row its squared norm, its inner product with them, and that of its deviation."""
    signs = np.empty(rows.shape[1], np.int8)
    norms, along, deviations = np.zeros((3, len(rows)))
    for block in blocks(0, rows.shape[1], BLOCK):
        _, deviation, sign = about_the_mean(rows[:, block], "sign")
        columns = rows[:, block].astype(np.float64)
        signs[block] = sign
        norms += np.einsum("nd,nd->n", columns, columns)  # not by BLAS, which adds in an order of its own
        along += np.einsum("nd,d->n", columns, sign)
        deviations += np.einsum("nd,nd->n", deviation, deviation)
    return signs, norms, along, deviations
