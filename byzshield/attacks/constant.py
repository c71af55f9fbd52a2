"""The constant attack."""

import numpy as np

from byzshield.attacks.attack import ATTACKS, Attack, Floats, Situation

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

    def forge(self, gradients: Floats, situation: Situation) -> Floats:
        return np.full_like(gradients, self.value)
