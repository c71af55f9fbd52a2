"""ResNets in their CIFAR forms."""

from itertools import chain
from typing import ClassVar, Final

import torch
from torch import nn
from torch.nn import functional

from byzshield.models.network import MODELS, require_variance

__all__ = ["ResNet", "ResNet18", "ResNet34", "ResNet50", "ResNet101", "ResNet152"]

SMALLEST_FOR_ONE: Final = 8  # pixels a side: after three strides of 2, one is left


class _Block(nn.Module):
    """Two 3 x 3 convolutions, and the input added to their output; the first has the stride."""

    expansion = 1

    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride=stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels)
        self.shortcut = _shortcut(channels_in, channels, stride)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        inner = self.norm2(self.conv2(functional.relu(self.norm1(self.conv1(maps)))))
        return functional.relu(inner + self.shortcut(maps))


class _Bottleneck(nn.Module):
    """A 1 x 1, a 3 x 3 and a 1 x 1 convolution to four times the channels, and the input added to their output.

    The 3 x 3 convolution has the stride, as in torchvision; in the paper it is the first 1 x 1.
    """

    expansion = 4

    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        super().__init__()
        channels_out = channels * self.expansion
        self.conv1 = nn.Conv2d(channels_in, channels, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, stride=stride, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels)
        self.conv3 = nn.Conv2d(channels, channels_out, 1, bias=False)
        self.norm3 = nn.BatchNorm2d(channels_out)
        self.shortcut = _shortcut(channels_in, channels_out, stride)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        inner = functional.relu(self.norm1(self.conv1(maps)))
        inner = functional.relu(self.norm2(self.conv2(inner)))
        return functional.relu(self.norm3(self.conv3(inner)) + self.shortcut(maps))


def _shortcut(channels_in: int, channels_out: int, stride: int) -> nn.Module:
    if stride == 1 and channels_in == channels_out:
        return nn.Identity()
    return nn.Sequential(nn.Conv2d(channels_in, channels_out, 1, stride=stride, bias=False), nn.BatchNorm2d(channels_out))


class ResNet(nn.Module):
    """A residual network for small images: a 3 x 3 stem with stride 1 and no max-pooling, then the four stages for ImageNet.

    The output is a linear layer over the mean of the last maps, whose side is an eighth of the image's, rounded up: images of any
    size fit.

    Reference: He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, table 1, with the stem of its section 4.2.

    Args:
        image_shape: (channels, height, width); up to 8 x 8, a file must have at least 2 samples.
        num_classes: logits.
    """

    block: ClassVar[type[_Block | _Bottleneck]]
    depths: ClassVar[tuple[int, int, int, int]]

    def __init__(self, *, image_shape: tuple[int, int, int] = (3, 32, 32), num_classes: int = 10) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(image_shape[0], 64, 3, padding=1, bias=False), nn.BatchNorm2d(64), nn.ReLU())
        blocks: list[nn.Module] = []
        channels_in = 64
        for channels, stride, depth in zip((64, 128, 256, 512), (1, 2, 2, 2), self.depths, strict=True):
            for stride_of_block in chain([stride], [1] * (depth - 1)):
                blocks.append(self.block(channels_in, channels, stride_of_block))
                channels_in = channels * self.block.expansion
        self.blocks = nn.Sequential(*blocks)
        self.output = nn.Linear(channels_in, num_classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """[b, channels, height, width] -> [b, num_classes]."""
        require_variance(self, images, largest=SMALLEST_FOR_ONE)
        maps = self.blocks(self.stem(images))
        logits: torch.Tensor = self.output(maps.mean(dim=(2, 3)))
        return logits


@MODELS.register("resnet18")
class ResNet18(ResNet):
    """ResNet-18 for small images: a 3 x 3 stem and no max-pooling; 11,173,962 parameters at 10 classes."""

    block, depths = _Block, (2, 2, 2, 2)


@MODELS.register("resnet34")
class ResNet34(ResNet):
    """ResNet-34 for small images: a 3 x 3 stem and no max-pooling; 21,282,122 parameters at 10 classes."""

    block, depths = _Block, (3, 4, 6, 3)


@MODELS.register("resnet50")
class ResNet50(ResNet):
    """ResNet-50 for small images: a 3 x 3 stem and no max-pooling; 23,520,842 parameters at 10 classes."""

    block, depths = _Bottleneck, (3, 4, 6, 3)


@MODELS.register("resnet101")
class ResNet101(ResNet):
    """ResNet-101 for small images: a 3 x 3 stem and no max-pooling; 42,512,970 parameters at 10 classes."""

    block, depths = _Bottleneck, (3, 4, 23, 3)


@MODELS.register("resnet152")
class ResNet152(ResNet):
    """ResNet-152 for small images: a 3 x 3 stem and no max-pooling; 58,156,618 parameters at 10 classes."""

    block, depths = _Bottleneck, (3, 8, 36, 3)
