"""Fall of Empires: inner product manipulation."""

import numpy as np

from byzshield.arrays import Float32
from byzshield.attacks.attack import ATTACKS, Attack, Situation, require_positive

__all__ = ["FallOfEmpires"]


@ATTACKS.register("fall_of_empires")
class FallOfEmpires(Attack):
    """Sends -epsilon times the mean of the known gradients, so that the aggregate's inner product with it turns negative.

    Reference: Xie, Koyejo and Gupta, "Fall of Empires: Breaking Byzantine-tolerant SGD by Inner Product Manipulation",
    UAI 2019, section 4.

    Args:
        epsilon: > 0; small values (0.1 to 1) slip through distance rules, 100 is what the ByzShield code used.

    Raises:
        ParameterError: epsilon out of range.
    """

    collusive = True

    def __init__(self, *, epsilon: float = 0.5) -> None:
        require_positive("epsilon", epsilon)
        self.epsilon = epsilon

    def forge(self, gradients: Float32, situation: Situation) -> Float32:
        return np.asarray(-self.epsilon * gradients.mean(axis=0, dtype=np.float64), dtype=gradients.dtype)
