"""Fall of Empires: inner product manipulation."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from byzshield.arrays import Float32
from byzshield.attacks.attack import ATTACKS, Attack, Situation, require_positive
from byzshield.attacks.line import Line, Optimized
from byzshield.choices import require_choice

__all__ = ["FallOfEmpires"]

Weighting = Literal["files", "honest_copies"]


@ATTACKS.register("fall_of_empires")
class FallOfEmpires(Attack):
    """Sends -epsilon times the mean of the known gradients, so that the aggregate's inner product with it turns negative.

    Reference: Xie, Koyejo and Gupta, "Fall of Empires: Breaking Byzantine-tolerant SGD by Inner Product Manipulation",
    UAI 2019, section 4. The ByzShield code (Konstantinidis and Ramamoorthy, MLSys 2021) has epsilon = 100 and the weighting
    "honest_copies".

    Args:
        epsilon: > 0; small values (0.1 to 1) slip through distance rules, 100 is what the ByzShield code used. "optimized" and
            "optimized_byzfl" try at each step which takes the server's rule farthest from the mean, as `ALIE` does for z.
        weighting: "files" counts each known file once; "honest_copies" as often as honest workers hold it, so that a file
            wholly in Byzantine hands is left out (where no known file has an honest holder, each counts once).

    Raises:
        ParameterError: epsilon or weighting out of range.
    """

    collusive = True

    def __init__(self, *, epsilon: float | Optimized = 0.5, weighting: Weighting = "files") -> None:
        if isinstance(epsilon, str):
            require_choice("epsilon", epsilon, Optimized)
        else:
            require_positive("epsilon", epsilon)
        require_choice("weighting", weighting, Weighting)
        self.epsilon = epsilon
        self.weighting = weighting

    @property
    def needs_rule(self) -> bool:
        return isinstance(self.epsilon, str)

    def forge(self, gradients: Float32, situation: Situation) -> Float32:
        copies = situation.honest_copies if self.weighting == "honest_copies" else ()
        if isinstance(self.epsilon, str):
            assert situation.defense is not None
            mean = _mean(gradients, copies)
            return Line(None, -mean).worst(situation.defense, mean=mean, search=self.epsilon, dtype=gradients.dtype)
        return np.asarray(-self.epsilon * _mean(gradients, copies), dtype=gradients.dtype)


def _mean(gradients: Float32, copies: Sequence[int]) -> NDArray[np.float64]:
    """The mean of the rows, each taken as often as `copies` says; once if it says nothing."""
    if not any(copies):
        return np.asarray(gradients.mean(axis=0, dtype=np.float64))
    total = np.zeros(gradients.shape[1])
    for gradient, count in zip(gradients, copies, strict=True):  # row by row: n d float64 values would be twice the gradients
        total += np.multiply(gradient, count, dtype=np.float64)
    return total / sum(copies)
