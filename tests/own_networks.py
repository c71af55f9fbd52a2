"""Models as a user may write them, named in tests as "own_networks:...": functions and classes, good and bad."""

from typing import Any

import torch
from torch import nn


def linear(image_shape: tuple[int, int, int], num_classes: int, bias: bool = True) -> nn.Module:
    """Takes both keywords that the program gives."""
    channels, height, width = image_shape
    return nn.Sequential(nn.Flatten(), nn.Linear(channels * height * width, num_classes, bias=bias))


def pooled(**keywords: Any) -> nn.Module:
    """Passes its keywords on, as functions of torchvision and timm do, to what knows nothing of image_shape."""
    return _Pooled(**keywords)


def for_ten_classes() -> nn.Module:
    """Takes nothing."""
    return _Pooled(num_classes=10)


def no_network(num_classes: int) -> list[int]:
    """Makes no module."""
    return [num_classes]


def normalized(num_classes: int) -> nn.Module:
    """Has running statistics."""
    return nn.Sequential(nn.BatchNorm2d(1), _Pooled(num_classes=num_classes))


class NoModule:
    """Makes no module, either."""


class AnyKeyword(nn.Sequential):
    """Takes both keywords that the program gives without naming them."""

    def __init__(self, **keywords: Any) -> None:
        super().__init__(linear(**keywords))


class _Pooled(nn.Module):
    def __init__(self, *, num_classes: int) -> None:
        super().__init__()
        self.output = nn.Linear(1, num_classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.output(images.mean(dim=(1, 2, 3)).unsqueeze(1))
        return logits
