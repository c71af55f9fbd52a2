"""ResNet-18 in its CIFAR form."""

from typing import Final

import torch
from torch import nn
from torch.nn import functional

from byzshield.errors import ParameterError
from byzshield.models.network import MODELS

__all__ = ["ResNet18"]

SMALLEST_FOR_ONE: Final = 8  # pixels a side: after three strides of 2, one is left, and one value has no variance


class _Block(nn.Module):
    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride=stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or channels_in != channels:
            self.shortcut = nn.Sequential(
                nn.Conv2d(channels_in, channels, 1, stride=stride, bias=False), nn.BatchNorm2d(channels)
            )

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        inner = self.norm2(self.conv2(functional.relu(self.norm1(self.conv1(maps)))))
        return functional.relu(inner + self.shortcut(maps))


@MODELS.register("resnet18")
class ResNet18(nn.Module):
    """ResNet-18 for small images: a 3 x 3 stem and no max-pooling; 11,173,962 parameters at 10 classes.

    Reference: He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, with the stem of its section 4.2.

    Args:
        image_shape: (channels, height, width); up to 8 x 8, a file must have at least 2 samples.
        num_classes: logits.
    """

    def __init__(self, *, image_shape: tuple[int, int, int] = (3, 32, 32), num_classes: int = 10) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(image_shape[0], 64, 3, padding=1, bias=False), nn.BatchNorm2d(64), nn.ReLU())
        blocks: list[nn.Module] = []
        channels_in = 64
        for channels, stride in ((64, 1), (128, 2), (256, 2), (512, 2)):
            blocks += [_Block(channels_in, channels, stride), _Block(channels, channels, 1)]
            channels_in = channels
        self.blocks = nn.Sequential(*blocks)
        self.output = nn.Linear(512, num_classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """[b, channels, height, width] -> [b, num_classes]."""
        if self.training and len(images) == 1 and max(images.shape[2:]) <= SMALLEST_FOR_ONE:
            raise ParameterError("resnet18 needs at least 2 samples a file for images up to 8 x 8: raise data.batch_size")
        maps = self.blocks(self.stem(images))
        logits: torch.Tensor = self.output(maps.mean(dim=(2, 3)))
        return logits
