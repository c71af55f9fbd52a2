"""What a test reports besides the loss."""

from typing import Final

import torch

from byzshield.objectives.contract import METRICS
from byzshield.objectives.losses import like

__all__ = ["accuracy", "mean_absolute_error", "mean_squared_error", "top5_accuracy"]

TOP: Final = 5


@METRICS.register("accuracy")
def accuracy(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Whether the greatest of the logits [..., classes] is the target's, [...]."""
    return output.argmax(dim=-1) == target


@METRICS.register("top5_accuracy")
def top5_accuracy(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Whether the target is among the five greatest of the logits [..., classes], [...]."""
    return (output.topk(min(TOP, output.shape[-1])).indices == target[..., None]).any(dim=-1)


@METRICS.register("mean_squared_error")
def mean_squared_error(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """The squared error of each value."""
    return (output - like(output, target)).square()


@METRICS.register("mean_absolute_error")
def mean_absolute_error(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """The absolute error of each value."""
    return (output - like(output, target)).abs()
