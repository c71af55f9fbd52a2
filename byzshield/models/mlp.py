"""Multilayer perceptrons."""

from collections.abc import Sequence
from itertools import pairwise
from math import prod
from typing import Final

import torch
from torch import nn

from byzshield.errors import ParameterError
from byzshield.models.network import MODELS

__all__ = ["FC", "MLP"]

MOST_PARAMETERS: Final = (1 << 29) - 1000  # MPI counts the bytes of a message, header and all, in 31 bits


@MODELS.register("mlp")
class MLP(nn.Module):
    """Fully connected layers with ReLU between them.

    Args:
        image_shape: (channels, height, width).
        num_classes: logits.
        hidden: units of each hidden layer, each at least 1; fewer than 2^29 parameters in all.
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
        widths = [prod(image_shape), *hidden, num_classes]
        if min(widths) < 1:
            raise ParameterError(f"hidden must have at least 1 unit in each layer; got {list(hidden)}")
        num_parameters = sum((before + 1) * after for before, after in pairwise(widths))
        if num_parameters > MOST_PARAMETERS:
            raise ParameterError(f"hidden makes {num_parameters:.2g} parameters, and one message carries {MOST_PARAMETERS:.2g}")
        if not 0 <= dropout < 1:
            raise ParameterError(f"dropout must be at least 0 and less than 1; got {dropout}")
        layers: list[nn.Module] = [nn.Flatten()]
        for before, after in pairwise(widths[:-1]):
            layers += [nn.Linear(before, after), nn.ReLU()]
            if dropout:
                layers.append(nn.Dropout(dropout))
        self.layers = nn.Sequential(*layers, nn.Linear(widths[-2], num_classes))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """[b, channels, height, width] -> [b, num_classes]."""
        logits: torch.Tensor = self.layers(images)
        return logits


@MODELS.register("fc")
class FC(MLP):
    """The fully connected network of the published ByzShield, DETOX and DRACO code: 800 and 500 hidden units, sigmoid outputs.

    1,033,510 parameters on MNIST. The cross-entropy takes the outputs, from 0 to 1, for logits, as it does there: no class gets a
    probability near 1, and the loss stays above log(1 + 9/e) = 1.46 with 10 classes.

    Args:
        image_shape: (channels, height, width).
        num_classes: outputs.
    """

    def __init__(self, *, image_shape: tuple[int, int, int] = (1, 28, 28), num_classes: int = 10) -> None:
        super().__init__(image_shape=image_shape, num_classes=num_classes, hidden=(800, 500))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """[b, channels, height, width] -> [b, num_classes], each from 0 to 1."""
        return torch.sigmoid(super().forward(images))
