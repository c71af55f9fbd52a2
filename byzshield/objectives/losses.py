"""The losses of torch.nn.functional that a run file names; all are means over what they compare."""

import torch
from torch.nn import functional

from byzshield.errors import ParameterError
from byzshield.objectives.contract import LOSSES

__all__ = ["bce_with_logits", "cross_entropy", "huber", "l1", "mse", "nll"]


@LOSSES.register("cross_entropy")
def cross_entropy(output: torch.Tensor, target: torch.Tensor, *, label_smoothing: float = 0.0) -> torch.Tensor:
    """Of logits [..., classes] against classes [...], the mean over all positions: of images, or of the tokens of a text.

    Args:
        output: logits, the classes last.
        target: int64, as many as there are positions; -100 leaves a position out.
        label_smoothing: 0 to 1.
    """
    if output.shape[:-1] != target.shape:
        raise ParameterError(
            f"cross_entropy compares logits [..., classes] with classes [...]; got {list(output.shape)} and {list(target.shape)}"
        )
    return functional.cross_entropy(output.flatten(0, -2), target.flatten(), label_smoothing=label_smoothing)


@LOSSES.register("nll_loss")
def nll(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Of log-probabilities [b, classes] against classes [b]."""
    return functional.nll_loss(output, target)


@LOSSES.register("mse_loss")
def mse(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """The mean squared error of outputs against targets of the same shape."""
    return functional.mse_loss(output, like(output, target))


@LOSSES.register("l1_loss")
def l1(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """The mean absolute error of outputs against targets of the same shape."""
    return functional.l1_loss(output, like(output, target))


@LOSSES.register("huber_loss")
def huber(output: torch.Tensor, target: torch.Tensor, *, delta: float = 1.0) -> torch.Tensor:
    """Half the squared error up to an error of `delta`, linear beyond; of outputs against targets of the same shape.

    Args:
        output: any shape.
        target: the same.
        delta: greater than 0.
    """
    return functional.huber_loss(output, like(output, target), delta=delta)


@LOSSES.register("binary_cross_entropy_with_logits")
def bce_with_logits(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Of logits against probabilities, or 0 and 1, of the same shape."""
    return functional.binary_cross_entropy_with_logits(output, like(output, target))


def like(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """The target in the type of the output.

    Raises:
        ParameterError: the shapes differ; torch would compare each with each.
    """
    if output.shape != target.shape:
        raise ParameterError(f"output and target must have the same shape; got {list(output.shape)} and {list(target.shape)}")
    return target.to(output.dtype)
