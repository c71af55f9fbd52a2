"""A multilayer perceptron."""

from collections.abc import Sequence
from math import prod

import torch
from torch import nn

from byzshield.models.network import MODELS

__all__ = ["MLP"]


@MODELS.register("mlp")
class MLP(nn.Module):
    """Fully connected layers with ReLU between them.

    Args:
        image_shape: (channels, height, width).
        num_classes: logits.
        hidden: units of each hidden layer.
        dropout: probability of dropping a hidden unit.
    """

    def __init__(
        self,
        *,
        image_shape: tuple[int, int, int] = (1, 28, 28),
        num_classes: int = 10,
        hidden: Sequence[int] = (100,),
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Flatten()]
        width = prod(image_shape)
        for units in hidden:
            layers += [nn.Linear(width, units), nn.ReLU()]
            if dropout:
                layers.append(nn.Dropout(dropout))
            width = units
        self.layers = nn.Sequential(*layers, nn.Linear(width, num_classes))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """[b, channels, height, width] -> [b, num_classes]."""
        logits: torch.Tensor = self.layers(images)
        return logits
