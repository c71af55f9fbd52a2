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


class Scaled(_Pooled):
    """Divides by a running scale of its own, so that what it computes depends on what it has computed before."""

    def __init__(self, *, num_classes: int) -> None:
        super().__init__(num_classes=num_classes)
        self.register_buffer("scale", torch.ones(()))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        if self.training:
            self.scale = 0.9 * self.scale + 0.1 * images.detach().abs().mean()
        return super().forward(images / self.scale)


class Averaged(_Pooled):
    """Keeps a running mean of its inputs, which only tests use."""

    def __init__(self, *, num_classes: int) -> None:
        super().__init__(num_classes=num_classes)
        self.register_buffer("center", torch.zeros(()))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        if self.training:
            self.center.lerp_(images.detach().mean(), 0.1)
            return super().forward(images)
        return super().forward(images - self.center)
