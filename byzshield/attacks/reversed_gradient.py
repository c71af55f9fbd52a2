"""The reversed gradient."""

from byzshield.arrays import Float32
from byzshield.attacks.attack import ATTACKS, Attack, Situation

__all__ = ["ReversedGradient"]


@ATTACKS.register("reversed_gradient")
class ReversedGradient(Attack):
    """Sends -scale times the true gradient of each file.

    Reference: Konstantinidis and Ramamoorthy, "ByzShield", MLSys 2021, section 5 ("reversed gradient").

    Args:
        scale: c > 0 for an ascent; 100 in the published code.
    """

    def __init__(self, *, scale: float = 100.0) -> None:
        self.scale = scale

    def forge(self, gradients: Float32, situation: Situation) -> Float32:
        return (-self.scale * gradients).astype(gradients.dtype)
