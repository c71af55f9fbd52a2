"""PoisonedFL: the same random signs in every step."""

import math
from statistics import NormalDist
from typing import Final

import numpy as np

from byzshield.arrays import Float32
from byzshield.attacks.attack import ATTACKS, Attack, Situation, require_positive
from byzshield.attacks.finite import mean_of_finite
from byzshield.attacks.last_update import last_update, length_of
from byzshield.errors import ParameterError

__all__ = ["PoisonedFL"]

CONFIDENCE: Final = 0.99


@ATTACKS.register("poisoned_fl")
class PoisonedFL(Attack):
    """Pushes the model along one random sign vector s in all steps: what agrees adds up, where larger lies would cancel out.

    With h the last update of the model and g the accomplices' last one, the update that they send is c norm(h) (k s) / norm(k),
    k = abs(h - g norm(h) / norm(g)): as large in each coordinate as what the honest workers seem to have done. Every
    `check_every` steps c becomes `decay` of itself, if fewer parameters than the 99 % point of that many fair coins have moved
    along s since the step after the last check, and if c stays at `least` or above; of one that has not moved, the sign of its
    value counts. In the first step they send zeros.

    The honest gradients go into it only where no learning rate is given. What is sent is the update over minus the
    learning rate, a gradient. With plain SGD that is the paper's attack.

    Reference: Xie, Fang and Gong, "Model Poisoning Attacks to Federated Learning via Multi-Round Consistency", CVPR
    2025, with the defaults of the authors' code, where c is `sf`.

    Args:
        c: how many times as long as the last update it is, at first, > 0.
        decay: 0 to 1, what a failed check leaves of c.
        check_every: steps between two checks, at least 1.
        least: below which no check takes c, at least 0.
        learning_rate: of the optimizer; None sends what is c times as long as the mean of the known gradients, for optimizers
            and schedules whose updates do not have the length of the aggregate.

    Raises:
        ParameterError: an argument is out of range.
    """

    collusive = True

    def __init__(
        self,
        *,
        c: float = 8.0,
        decay: float = 0.7,
        check_every: int = 50,
        least: float = 0.5,
        learning_rate: float | None = None,
    ) -> None:
        require_positive("c", c)
        if learning_rate is not None:
            require_positive("learning_rate", learning_rate)
        if not 0 <= decay <= 1:
            raise ParameterError(f"decay must be 0 to 1; got {decay}")
        if check_every < 1:
            raise ParameterError(f"check_every must be at least 1 step; got {check_every}")
        if not least >= 0:
            raise ParameterError(f"least must be at least 0; got {least}")
        self.c = c
        self.decay = decay
        self.check_every = check_every
        self.least = least
        self.learning_rate = learning_rate

    @property
    def remembers(self) -> bool:
        return True

    def forge(self, gradients: Float32, situation: Situation) -> Float32:
        memory, size = situation.memory, gradients.shape[1]
        if "signs" not in memory:
            memory["signs"] = situation.rng.choice(np.array([-1, 1], dtype=np.int8), size=size)
            memory["c"] = np.array(self.c)
        update = last_update(situation, size)
        self._check(situation)
        if update is None:
            forged = np.zeros(size, gradients.dtype)
        else:
            length = length_of(update)
            sent = memory["sent"].astype(np.float64)
            shape = np.abs(update - sent * (length / (length_of(sent) or 1.0)))
            if self.learning_rate is not None:
                length /= self.learning_rate
            else:
                length = length_of(mean_of_finite(gradients))
            # Minus, since the parameters move against gradients.
            scale = -float(memory["c"]) * length / (length_of(shape) or 1.0)
            forged = np.asarray(scale * shape * memory["signs"], dtype=gradients.dtype)
        memory["sent"] = forged
        return forged

    def _check(self, situation: Situation) -> None:
        """Lowers c if what it has sent since the step after the last check does not show."""
        memory, now, steps = situation.memory, situation.parameters, situation.step - 1
        if now is None:
            return
        reference = memory.get("reference")
        if steps % self.check_every == 0 and reference is not None:
            moved = now - reference
            agreeing = int((np.sign(np.where(moved == 0, now, moved)) == memory["signs"][: now.size]).sum())
            lower = self.decay * float(memory["c"])
            if agreeing < _most_by_chance(now.size) and lower >= self.least:
                memory["c"] = np.array(lower)
        if steps % self.check_every == 1 % self.check_every:
            memory["reference"] = now


def _most_by_chance(num_coins: int) -> int:
    """The 99 % point of the number of heads of fair coins, by the normal distribution; the authors' four numbers.

    >>> [_most_by_chance(size) for size in (1204682, 139960, 717924, 145212)]
    [603618, 70415, 359948, 73049]
    """
    return round(num_coins / 2 + NormalDist().inv_cdf(CONFIDENCE) * math.sqrt(num_coins) / 2)
