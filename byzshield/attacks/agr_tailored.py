"""AGR-tailored: as far from the mean as the server's rule still lets pass."""

from collections.abc import Callable
from typing import Final, Literal

import numpy as np

from byzshield.aggregation import Bulyan, BulyanByzShield, BulyanOnePass, Krum, MultiKrum, Pipeline
from byzshield.aggregation.kernels.columns import blocks
from byzshield.arrays import Float32, Float64
from byzshield.attacks.attack import ATTACKS, Attack, Situation
from byzshield.attacks.defense import Defense
from byzshield.attacks.finite import finite_rows
from byzshield.attacks.krum_trial import KrumTrial
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
            selected = _selection(rows, line, honest, situation.num_corrupted)
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


def _selection(rows: Rows, line: Line, honest: list[int], num_forged: int) -> Callable[[float], bool]:
    """Whether multi-Krum would average all copies of a point on the line, for each factor.

    Args:
        rows: [m, d].
        line: from their mean.
        honest: which of them the server gets as they are, h.
        num_forged: f, copies of the point beside these.
    """
    assert line.origin is not None
    krum, num_selected = KrumTrial(rows, honest, num_forged), max(0, len(honest) - 2)  # n - f - 2
    along, squared, length = np.zeros(len(rows)), np.zeros(len(rows)), 0.0
    for block in blocks(0, rows.shape[1], BLOCK):
        deviations, direction = rows[:, block] - line.origin[block], line.direction[block]
        squared += np.einsum("nd,nd->n", deviations, deviations)  # not by BLAS, which adds in an order of its own
        along += np.einsum("nd,d->n", deviations, direction)
        length += float(np.einsum("d,d->", direction, direction))
    squared, along = squared[honest], along[honest]
    return lambda gamma: krum.best(num_selected, squared - 2 * gamma * along + gamma**2 * length) == num_forged


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
