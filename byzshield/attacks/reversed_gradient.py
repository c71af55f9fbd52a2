"""The reversed gradient."""

from byzshield.arrays import Float32
from byzshield.attacks.attack import ATTACKS, Attack, Situation, require_positive

__all__ = ["ReversedGradient"]


@ATTACKS.register("reversed_gradient")
class ReversedGradient(Attack):
    """Sends -scale times the true gradient of each file.

    Reference: Konstantinidis and Ramamoorthy, "ByzShield", MLSys 2021, section 5 ("reversed gradient").

    Args:
        scale: c > 0; 100 in the published code.

    Raises:
        ParameterError: scale out of range.
    """

    def __init__(self, *, scale: float = 100.0) -> None:
        require_positive("scale", scale)
        self.scale = scale

    def forge(self, gradients: Float32, situation: Situation) -> Float32:
        return (-self.scale * gradients).astype(gradients.dtype)
