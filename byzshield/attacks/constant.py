"""The constant attack."""

import numpy as np

from byzshield.arrays import Float32
from byzshield.attacks.attack import ATTACKS, Attack, Situation

__all__ = ["Constant"]


@ATTACKS.register("constant")
class Constant(Attack):
    """Sends a vector of which every entry is `value`; needs no knowledge at all.

    Reference: Konstantinidis and Ramamoorthy, "ByzShield", MLSys 2021, section 5 ("constant").

    Args:
        value: the entry; -100 in the published code.
    """

    def __init__(self, *, value: float = -100.0) -> None:
        self.value = value

    def forge(self, gradients: Float32, situation: Situation) -> Float32:
        return np.full_like(gradients, self.value)
