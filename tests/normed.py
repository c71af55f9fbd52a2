"""Small networks for tests: one with BatchNorm, and one of which only a part is trained."""

from collections.abc import Sequence
from math import prod
from typing import Any

import torch
from torch import nn

__all__ = ["HalfFrozen", "Normed"]


class Normed(nn.Module):
    """One hidden layer with BatchNorm."""

    def __init__(self, *, image_shape: tuple[int, int, int], num_classes: int, hidden: Sequence[int] = (8,)) -> None:
        super().__init__()
        (units,) = hidden
        self.hidden = nn.Linear(prod(image_shape), units)
        self.norm = nn.BatchNorm1d(units)
        self.output = nn.Linear(units, num_classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """[b, channels, height, width] -> [b, num_classes]."""
        logits: torch.Tensor = self.output(self.norm(self.hidden(images.flatten(1))).relu())
        return logits


class HalfFrozen(Normed):
    """Its hidden layer is not trained."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.hidden.requires_grad_(False)
