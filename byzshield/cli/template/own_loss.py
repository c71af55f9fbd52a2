"""The loss: any function of the model's output and the target that gives their mean over the batch."""

import torch
from torch.nn import functional


def loss(output: torch.Tensor, target: torch.Tensor, *, margin: float = 1.0) -> torch.Tensor:
    """Hinge loss of logits [b, classes] against classes [b]."""
    return functional.multi_margin_loss(output, target, margin=margin)
