"""Anti-CGE: as long as comparative gradient elimination lets it be, against all that this keeps."""

from typing import Final

import numpy as np

from byzshield.aggregation.matrix import non_finite_rows
from byzshield.arrays import Float32
from byzshield.attacks.attack import ATTACKS, Attack, Situation
from byzshield.attacks.last_update import length_of

__all__ = ["AntiCGE"]

JUST_UNDER: Final = 1 - 1e-6  # of a length, far more than what rounding to float32 adds


@ATTACKS.register("anti_cge")
class AntiCGE(Attack):
    """Sends minus the sum of the honest gradients that CGE keeps, just shorter than the shortest that it drops.

    CGE drops the f longest of n rows. With f corrupted rows of this length it keeps all of them and the n - 2 f shortest of the
    n - f honest ones; number n - 2 f + 1 of these is the first that it drops. Without a corrupted row, the longest is the bound.

    Reference: attack "anticge" of LPD-EPFL/robust-collaborative-learning (S. Rouault, 2021), which no paper describes. In its
    sum, the shortest gradient counts twice. The rule is that of Gupta, Liu and Vaidya, "Byzantine Fault-Tolerant Distributed
    Machine Learning with Norm-Based Comparative Gradient Elimination", DSN-W 2021.

    Args:
        shortest_twice: whether the shortest gradient counts twice in the sum, as in that code.
    """

    collusive = True

    def __init__(self, *, shortest_twice: bool = True) -> None:
        self.shortest_twice = shortest_twice

    @property
    def needs_num_corrupted(self) -> bool:
        return True

    def forge(self, gradients: Float32, situation: Situation) -> Float32:
        known = range(len(gradients))
        honest = [row for row in known if row not in situation.corrupted] or list(known)
        dropped = non_finite_rows(gradients)
        lengths = np.array([np.inf if row in dropped else length_of(gradients[row].astype(np.float64)) for row in honest])
        order = np.argsort(lengths, kind="stable").tolist()
        kept = max(len(honest) - situation.num_corrupted, 0)
        bound = lengths[order[min(kept, len(honest) - 1)]]
        summed = order[: max(kept, 1)]
        total = np.zeros(gradients.shape[1])
        for place in [order[0], *summed] if self.shortest_twice else summed:
            total += gradients[honest[place]]
        length = length_of(total)
        scale = JUST_UNDER * bound / length if length > 0 and np.isfinite(bound) and np.isfinite(length) else 1.0
        return np.asarray(-scale * total, dtype=gradients.dtype)
