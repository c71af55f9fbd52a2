"""Relocated orthogonal perturbation."""

import math

import numpy as np

from byzshield.arrays import Float32, Float64
from byzshield.attacks.alie import z_max
from byzshield.attacks.attack import ATTACKS, LARGEST, Attack, Situation, require_positive
from byzshield.attacks.finite import mean_of_finite
from byzshield.attacks.last_update import last_update, length_of
from byzshield.errors import ParameterError

__all__ = ["ROP"]


@ATTACKS.register("rop")
class ROP(Attack):
    """Sends the last aggregate, moved by z across the direction of training: close to where a clipping rule begins.

    With mu the mean of the known gradients and m the last aggregate, in the first step mu: the place is a = location m +
    (1 - location) mu, the direction u = blend m + (1 - blend) mu, and v = a + z (sin(angle) p + cos(angle) u / norm(u)), where p
    is the unit vector along (1, ..., 1) less its projection on u.

    The workers know the parameters and not the aggregate, so m is what the last step has taken off them over the learning
    rate. With plain SGD this is the aggregate, with momentum the server's momentum, as in the paper; with other optimizers it
    is neither, and m only has its direction and the length of mu.

    Reference: Ozfatura, Ozfatura, Kupcu and Gunduz, "Byzantines Can Also Learn From History: Fall of Centered Clipping in
    Federated Learning", IEEE TIFS 2024. The defaults are those of the authors' FL-Byzantine-Library, which has a = 0 in the
    first step.

    Args:
        z: the length of the perturbation, > 0; None takes that of `ALIE`.
        angle: degrees between u and the perturbation: 90 and 270 are across, 180 is backwards.
        blend: the weight of the last aggregate in u, 0 to 1 (`lamb` in that library).
        location: the weight of the last aggregate in a, 0 to 1 (`pi` in that library).
        learning_rate: of the optimizer, to know the last aggregate by; None gives it the length of the mean of known gradients.

    Raises:
        ParameterError: an argument is out of range.
    """

    collusive = True

    def __init__(
        self,
        *,
        z: float | None = None,
        angle: float = 270.0,
        blend: float = 0.9,
        location: float = 1.0,
        learning_rate: float | None = None,
    ) -> None:
        for name, value in (("z", z), ("learning_rate", learning_rate)):
            if value is not None:
                require_positive(name, value)
        for name, share in (("blend", blend), ("location", location)):
            if not 0 <= share <= 1:
                raise ParameterError(f"{name} must be 0 to 1; got {share}")
        if not abs(angle) <= LARGEST:
            raise ParameterError(f"angle must be a number of degrees; got {angle}")
        self.z = z
        self.angle = angle
        self.blend = blend
        self.location = location
        self.learning_rate = learning_rate

    @property
    def needs_num_corrupted(self) -> bool:
        return self.z is None

    @property
    def remembers(self) -> bool:
        return True

    def forge(self, gradients: Float32, situation: Situation) -> Float32:
        mean = mean_of_finite(gradients)
        momentum = self._momentum(mean, last_update(situation, mean.size))
        direction = _unit(self.blend * momentum + (1 - self.blend) * mean)
        across = _unit(1 - direction * direction.sum())
        turn = math.radians(self.angle)
        perturbation = _unit(math.sin(turn) * across + math.cos(turn) * direction)
        z = self.z if self.z is not None else z_max(situation.num_rows, situation.num_corrupted)
        place = self.location * momentum + (1 - self.location) * mean
        return np.asarray(place + z * perturbation, dtype=gradients.dtype)

    def _momentum(self, mean: Float64, update: Float64 | None) -> Float64:
        if update is None:
            return mean
        return update / self.learning_rate if self.learning_rate is not None else _unit(update) * length_of(mean)


def _unit(vector: Float64) -> Float64:
    """The vector over its length, which 0 keeps."""
    return vector / (length_of(vector) or 1.0)
