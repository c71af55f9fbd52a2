"""Label flip: honest work on false labels."""

from typing import Any, Literal

import numpy as np

from byzshield.arrays import Float32
from byzshield.attacks.attack import ATTACKS, Attack, Situation
from byzshield.choices import require_choice
from byzshield.errors import ParameterError

__all__ = ["LabelFlip"]

Sent = Literal["own", "mean"]


@ATTACKS.register("label_flip")
class LabelFlip(Attack):
    """Sends gradients of samples whose label y has become L - 1 - y, of L classes.

    What travels with a gradient is that of the same pass, so the loss is that of the false labels, also where the attack does
    not forge statistics. Labels that are no class (-100, say, for what a loss is to ignore) stay. Outside of a run, the rows are
    to be flipped gradients already.

    Reference: the label flip of Karimireddy, He and Jaggi, ICLR 2022 (epfml/byzantine-robust-noniid-optimizer), where each worker
    flips the labels of its own data, is sent = "own". ByzFL's, "mean", is what all accomplices of one step agree on there.

    Args:
        sent: "own" is for each file its own flipped gradient; "mean" for all files the mean of the known flipped gradients.
        num_classes: L, at least 2; None takes that of the data set.

    Raises:
        ParameterError: sent or num_classes out of range.
    """

    def __init__(self, *, sent: Sent = "own", num_classes: int | None = None) -> None:
        require_choice("sent", sent, Sent)
        if num_classes is not None and num_classes < 2:
            raise ParameterError(f"num_classes must be at least 2; got {num_classes}")
        self.sent = sent
        self.num_classes = num_classes
        self.collusive = sent == "mean"

    @property
    def poisons(self) -> bool:
        return True

    def poison(self, batch: Any, num_classes: int | None) -> Any:
        labels: Any = batch[1] if isinstance(batch, tuple | list) and len(batch) == 2 else None
        if not hasattr(labels, "is_floating_point") or labels.is_floating_point():
            raise ParameterError("needs samples that are pairs (inputs, labels) with classes, whole numbers, as labels")
        classes = self.num_classes or num_classes
        if classes is None:
            raise ParameterError("needs to know how many classes there are, which the data set does not tell: set num_classes")
        is_class = (labels >= 0) & (labels < classes)
        return batch[0], (classes - 1 - labels).where(is_class, labels)

    def forge(self, gradients: Float32, situation: Situation) -> Float32:
        return gradients if not self.collusive else np.asarray(gradients.mean(axis=0, dtype=np.float64), dtype=gradients.dtype)
