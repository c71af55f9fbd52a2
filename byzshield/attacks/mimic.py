"""Mimic: all accomplices send a copy of one honest gradient."""

from collections.abc import Sequence
from typing import Final, Literal

import numpy as np

from byzshield.aggregation.kernels.columns import blocks
from byzshield.aggregation.matrix import non_finite_rows
from byzshield.arrays import Float32, Float64
from byzshield.attacks.attack import ATTACKS, Attack, Situation
from byzshield.attacks.last_update import length_of
from byzshield.choices import require_choice
from byzshield.errors import ParameterError

__all__ = ["Mimic"]

BLOCK: Final = 1 << 13  # columns at a time: float64 copies of them stay in cache

Meanwhile = Literal["choose", "row"]
Afterwards = Literal["keep", "choose"]
Target = Literal["largest", "smallest", "farthest"]


@ATTACKS.register("mimic")
class Mimic(Attack):
    """Sends a copy of one honest gradient, so that a rule counts it too often and the others too little.

    It needs gradients that differ for a reason, files bound to shards of unlike data (`data.split`), and no rule can tell the
    copies from the true one. While it learns, it follows the mean mu of the honest gradients and the direction z in which they
    differ most: in step t, from 0, mu is t / (t + 1) of what it was and 1 / (t + 1) of the mean now, and z, by a power step,
    the same shares of what it was and of the unit vector along sum_i ((x_i - mu) z) (x_i - mu), over its norm. z is drawn at
    first, and then is that unit vector alone. A file whose vote the accomplices win is no honest gradient.

    Reference: Karimireddy, He and Jaggi, "Byzantine-Robust Learning on Heterogeneous Datasets via Bucketing", ICLR 2022,
    appendix B. The defaults are those of the authors' code (epfml/byzantine-robust-noniid-optimizer). FL-Byzantine-Library:
    warmup = 10, afterwards = "choose". LPD-EPFL/robust-collaborative-learning: warmup = 100, meanwhile = "row",
    afterwards = "choose", target = "farthest". ByzFL and ByzPy: warmup = 0, which copies `row` always.

    Args:
        warmup: steps in which it learns, at least 0.
        meanwhile: what it copies while it learns: "choose" takes the best file by what it knows, "row" the one of number `row`.
        afterwards: "keep" copies the file that was the best in the last step of learning; "choose" takes the best in each step.
        target: which file is the best, by the product of its gradient and z: "largest", "smallest", or "farthest" from 0.
        row: which of the honest gradients, files ascending, from 0; the last one if there are fewer.

    Raises:
        ParameterError: warmup or row is negative, or another argument is none of its choices.
    """

    collusive = True

    def __init__(
        self,
        *,
        warmup: int = 1,
        meanwhile: Meanwhile = "choose",
        afterwards: Afterwards = "keep",
        target: Target = "largest",
        row: int = 0,
    ) -> None:
        for name, value in (("warmup", warmup), ("row", row)):
            if value < 0:
                raise ParameterError(f"{name} must be at least 0; got {value}")
        require_choice("meanwhile", meanwhile, Meanwhile)
        require_choice("afterwards", afterwards, Afterwards)
        require_choice("target", target, Target)
        self.warmup = warmup
        self.meanwhile = meanwhile
        self.afterwards = afterwards
        self.target = target
        self.row = row

    @property
    def remembers(self) -> bool:
        return self.warmup > 0

    def forge(self, gradients: Float32, situation: Situation) -> Float32:
        dropped = set(non_finite_rows(gradients))
        finite = [row for row in range(len(gradients)) if row not in dropped]
        honest = [row for row in finite if row not in situation.corrupted] or finite
        if not honest:
            return np.array(gradients[0])
        return np.array(gradients[self._chosen(gradients, honest, situation)])

    def _chosen(self, gradients: Float32, honest: Sequence[int], situation: Situation) -> int:
        """The row to copy, of those that are honest."""
        memory, files = situation.memory, situation.files or tuple(range(len(gradients)))
        first = honest[min(self.row, len(honest) - 1)]
        steps = int(memory.get("steps", 0))
        if steps < self.warmup:
            self._learn(gradients, honest, situation, steps)
            best = self._best(gradients, honest, memory["z"])
            memory["steps"], memory["target"] = np.array(steps + 1), np.array(files[best])
            if steps + 1 == self.warmup:
                del memory["mean"]
                if self.afterwards == "keep":
                    del memory["z"]
            return first if self.meanwhile == "row" else best
        if self.warmup == 0:
            return first
        if self.afterwards == "choose":
            return self._best(gradients, honest, memory["z"])
        kept = int(memory["target"])
        # A file that is not known in this step, or not honest, is copied again when it is.
        return next((row for row in honest if files[row] == kept), first)

    def _learn(self, gradients: Float32, honest: Sequence[int], situation: Situation, steps: int) -> None:
        """Moves the mean and the direction in the memory by one step."""
        memory, size = situation.memory, gradients.shape[1]
        share = 1 / (steps + 1)
        before: Float64 = memory["mean"] if steps else np.zeros(size)
        direction: Float64 = memory["z"] if steps else situation.rng.standard_normal((size,))
        mean, stretched, weights = np.empty(size), np.zeros(size), np.zeros(len(honest))
        for block in blocks(0, size, BLOCK):
            rows = gradients[honest, block].astype(np.float64)
            mean[block] = (1 - share) * before[block] + share * rows.mean(axis=0)
            weights += np.einsum("nd,d->n", rows - mean[block], direction[block])
        for block in blocks(0, size, BLOCK):
            stretched[block] = np.einsum("nd,n->d", gradients[honest, block].astype(np.float64) - mean[block], weights)
        length = length_of(stretched)
        if steps == 0 and length > 0:
            direction = stretched
        elif length > 0:  # or all are equal, and there is no direction to learn of
            direction = (1 - share) * direction + stretched * (share / length)
        memory["mean"], memory["z"] = mean, direction / (length_of(direction) or 1.0)

    def _best(self, gradients: Float32, honest: Sequence[int], direction: Float64) -> int:
        products = np.zeros(len(honest))
        for block in blocks(0, gradients.shape[1], BLOCK):
            products += np.einsum("nd,d->n", gradients[honest, block].astype(np.float64), direction[block])
        match self.target:
            case "largest":
                return honest[int(products.argmax())]
            case "smallest":
                return honest[int(products.argmin())]
            case "farthest":
                return honest[int(np.abs(products).argmax())]
