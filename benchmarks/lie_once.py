"""An attack for bench_audit.py, named in run files as "lie_once:LieOnce"."""

from byzshield.arrays import Float32
from byzshield.attacks import ReversedGradient, Situation

__all__ = ["LieOnce"]


class LieOnce(ReversedGradient):
    """Reverses gradients in one step and is honest in all others, which is when audits see least of it.

    Args:
        at: the step.
        scale: of the reversed gradients.
    """

    def __init__(self, *, at: int = 1, scale: float = 100.0) -> None:
        super().__init__(scale=scale)
        self.at = at

    def forge(self, gradients: Float32, situation: Situation) -> Float32:
        return super().forge(gradients, situation) if situation.step == self.at else gradients
