"""AGR-tailored: as far from the mean as the server's rule still lets pass."""

from typing import Final, Literal

import numpy as np

from byzshield.aggregation import Bulyan, BulyanByzShield, BulyanOnePass, Krum, MultiKrum, Pipeline, primitives
from byzshield.aggregation.kernels.columns import blocks
from byzshield.aggregation.rules.krum import krum_scores
from byzshield.arrays import Float32, Float64
from byzshield.attacks.attack import ATTACKS, Attack, Situation
from byzshield.attacks.defense import Defense
from byzshield.attacks.finite import finite_rows
from byzshield.attacks.line import Line, largest_accepted
from byzshield.attacks.min_max import Perturbation, Rows, about_the_mean
from byzshield.choices import require_choice

__all__ = ["AGRTailored"]

BLOCK: Final = 1 << 13  # columns at a time: float64 copies of them stay in cache
SELECTING: Final = (Krum, MultiKrum, Bulyan, BulyanOnePass, BulyanByzShield)

Judge = Literal["distance", "selection"]


@ATTACKS.register("agr_tailored")
class AGRTailored(Attack):
    """Sends mean - gamma * p, with a gamma that is raised while the server's rule follows, and else lowered, in halving steps.

    Reference: Shejwalkar and Houmansadr, "Manipulating the Byzantine: Optimizing Model Poisoning Attacks and Defenses for
    Federated Learning", NDSS 2021, section IV, by the search in the authors' code, which ends with steps of 1e-5.

    Args:
        perturbation: p: "std", the standard deviation of each coordinate (ddof 1); "unit", the mean over its norm; "sign", the
            signs of the mean.
        judge: "distance", the authors' for the trimmed mean and here for any rule: from 10, a gamma is accepted if what the rule
            gives is farther from the mean than for the gamma before; "selection", the authors' for multi-Krum and Bulyan: from
            3, one is accepted if all forged rows are among the n - f - 2 of the best Krum scores. By default as the server's rule
            asks for: selection where it is Krum, multi-Krum or a Bulyan alone, which follow a forged row or do not.

    Raises:
        ParameterError: perturbation or judge is none of these.
    """

    collusive = True
    compiled = True

    def __init__(self, *, perturbation: Perturbation = "std", judge: Judge | None = None) -> None:
        require_choice("perturbation", perturbation, Perturbation)
        if judge is not None:
            require_choice("judge", judge, Judge)
        self.perturbation = perturbation
        self.judge = judge

    @property
    def needs_num_corrupted(self) -> bool:
        return True

    @property
    def needs_rule(self) -> bool:
        return self.judge != "selection"

    def forge(self, gradients: Float32, situation: Situation) -> Float32:
        rows, honest = finite_rows(gradients, situation.corrupted)
        if not len(rows):
            return np.array(gradients[0])
        mean, direction = _towards(rows, self.perturbation)
        line = Line(mean, direction)
        defense, before = situation.defense, -1.0
        if (self.judge or _judge_of(defense)) == "selection":
            selected = _Selection(rows, line, honest, situation.num_corrupted)
            return line.at(largest_accepted(selected, start=3.0), rows.dtype)

        def follows(gamma: float) -> bool:
            nonlocal before
            assert defense is not None
            last, before = before, defense.damage(line.at(gamma, rows.dtype), mean)
            return last < before

        return line.at(largest_accepted(follows, start=10.0), rows.dtype)


def _judge_of(defense: Defense | None) -> Judge:
    rule = defense and defense.rule
    return "selection" if isinstance(rule, Pipeline) and not rule.pre and isinstance(rule.rule, SELECTING) else "distance"


class _Selection:
    """Whether multi-Krum would average all copies of a point on a line.

    Args:
        rows: [m, d].
        line: from their mean.
        honest: which of them the server gets as they are.
        num_forged: f, copies of the point beside these.
    """

    def __init__(self, rows: Rows, line: Line, honest: list[int], num_forged: int) -> None:
        assert line.origin is not None
        self._honest, self._num_forged = len(honest), num_forged
        self._along, self._squared, self._length = np.zeros(len(rows)), np.zeros(len(rows)), 0.0
        for block in blocks(0, rows.shape[1], BLOCK):
            deviations, direction = rows[:, block] - line.origin[block], line.direction[block]
            self._squared += np.einsum("nd,nd->n", deviations, deviations)  # not by BLAS, which adds in an order of its own
            self._along += np.einsum("nd,d->n", deviations, direction)
            self._length += float(np.einsum("d,d->", direction, direction))
        self._squared, self._along = self._squared[honest], self._along[honest]
        self._around = np.zeros((len(honest) + num_forged,) * 2)
        self._around[: len(honest), : len(honest)] = primitives.squared_distances(rows)[np.ix_(honest, honest)]

    def __call__(self, factor: float) -> bool:
        h = self._honest
        across = self._squared - 2 * factor * self._along + factor**2 * self._length
        self._around[:h, h:], self._around[h:, :h] = across[:, None], across
        scores = krum_scores(self._around, self._num_forged)
        best = np.argsort(scores, kind="stable")[: max(0, len(scores) - self._num_forged - 2)]
        return int(np.count_nonzero(best >= h)) == self._num_forged


def _towards(rows: Rows, perturbation: Perturbation) -> tuple[Float64, Float64]:
    """The mean and minus p, [d] each."""
    mean, direction = np.empty((2, rows.shape[1]))
    length = 0.0
    for block in blocks(0, rows.shape[1], BLOCK):
        mean[block], _, direction[block] = about_the_mean(rows[:, block], perturbation)
        length += float(np.einsum("d,d->", direction[block], direction[block]))
    scale = {"std": np.sqrt(max(1, len(rows) - 1)), "unit": np.sqrt(length) or 1.0, "sign": 1.0}[perturbation]
    direction /= -scale
    return mean, direction
