"""The constant attack."""

import numpy as np

from byzshield.arrays import Float32
from byzshield.attacks.attack import ATTACKS, LARGEST, Attack, Situation
from byzshield.errors import ParameterError

__all__ = ["Constant"]


@ATTACKS.register("constant")
class Constant(Attack):
    """Sends a vector of which every entry is `value`; needs no knowledge at all.

    Reference: Konstantinidis and Ramamoorthy, "ByzShield", MLSys 2021, section 5 ("constant").

    Args:
        value: the entry, finite in float32; -100 in the published code.

    Raises:
        ParameterError: it is not.
    """

    def __init__(self, *, value: float = -100.0) -> None:
        if not abs(value) <= LARGEST:
            raise ParameterError(f"value must be between -{LARGEST:.4g} and {LARGEST:.4g}; got {value}")
        self.value = value

    def forge(self, gradients: Float32, situation: Situation) -> Float32:
        return np.full_like(gradients, self.value)
