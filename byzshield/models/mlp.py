"""A multilayer perceptron."""

from collections.abc import Sequence
from math import prod
from typing import Final

import torch
from torch import nn

from byzshield.errors import ParameterError
from byzshield.models.network import MODELS

__all__ = ["MLP"]

MOST_UNITS: Final = 1 << 20


@MODELS.register("mlp")
class MLP(nn.Module):
    """Fully connected layers with ReLU between them.

    Args:
        image_shape: (channels, height, width).
        num_classes: logits.
        hidden: units of each hidden layer, each 1 to 1,048,576.
        dropout: probability of dropping a hidden unit, 0 <= p < 1.

    Raises:
        ParameterError: one of them is out of range.
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
        if not all(1 <= units <= MOST_UNITS for units in hidden):
            raise ParameterError(f"hidden must have 1 to {MOST_UNITS} units in each layer; got {list(hidden)}")
        if not 0 <= dropout < 1:
            raise ParameterError(f"dropout must be at least 0 and less than 1; got {dropout}")
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
