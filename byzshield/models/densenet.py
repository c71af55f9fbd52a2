"""DenseNets in their CIFAR forms."""

from typing import ClassVar, Final

import torch
from torch import nn
from torch.nn import functional

from byzshield.errors import ParameterError
from byzshield.models.network import MODELS, require_variance

__all__ = ["DenseNet", "DenseNet121", "DenseNet161", "DenseNet169", "DenseNet201"]

SMALLEST: Final = 8  # pixels a side: three poolings leave one
SMALLEST_FOR_ONE: Final = 15  # pixels a side up to which only one is left
WIDTH: Final = 4  # maps of a layer's 1 x 1 convolution, in growth rates


class _Layer(nn.Module):
    """BatchNorm, ReLU, 1 x 1 convolution, BatchNorm, ReLU, 3 x 3 convolution to `growth` maps, which are put behind the input."""

    def __init__(self, channels_in: int, growth: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(channels_in)
        self.conv1 = nn.Conv2d(channels_in, WIDTH * growth, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(WIDTH * growth)
        self.conv2 = nn.Conv2d(WIDTH * growth, growth, 3, padding=1, bias=False)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        inner = self.conv1(functional.relu(self.norm1(maps)))
        return torch.cat([maps, self.conv2(functional.relu(self.norm2(inner)))], dim=1)


class DenseNet(nn.Module):
    """A densely connected network for small images: a 3 x 3 stem with stride 1 and no max-pooling, then four dense blocks.

    The blocks are those for ImageNet (DenseNet-BC: bottlenecks, and transitions that halve maps and sides), each layer's new maps
    behind the old ones. The stem is that of the paper's networks for CIFAR: a convolution to twice the growth rate, with no
    BatchNorm, ReLU or pooling of its own. The published ByzShield code has the same, with the new maps before the old ones.

    Reference: Huang, Liu, van der Maaten and Weinberger, "Densely Connected Convolutional Networks", CVPR 2017, table 1 and
    section 3, "Implementation Details".

    Args:
        image_shape: (channels, height, width), each side at least 8; up to 15 x 15, a file must have at least 2 samples.
        num_classes: logits.

    Raises:
        ParameterError: the images are smaller.
    """

    growth: ClassVar[int] = 32
    depths: ClassVar[tuple[int, int, int, int]]

    def __init__(self, *, image_shape: tuple[int, int, int] = (3, 32, 32), num_classes: int = 10) -> None:
        super().__init__()
        channels_in, height, width = image_shape
        if min(height, width) < SMALLEST:
            raise ParameterError(
                f"{type(self).__name__} needs images of at least {SMALLEST} x {SMALLEST}; got {height} x {width}: use a ResNet"
            )
        channels = 2 * self.growth
        self.stem = nn.Conv2d(channels_in, channels, 3, padding=1, bias=False)
        stages: list[nn.Module] = []
        for depth in self.depths:
            if stages:
                stages.append(_transition(channels))
                channels //= 2
            stages.append(nn.Sequential(*(_Layer(channels + index * self.growth, self.growth) for index in range(depth))))
            channels += depth * self.growth
        self.stages = nn.Sequential(*stages)
        self.norm = nn.BatchNorm2d(channels)
        self.output = nn.Linear(channels, num_classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """[b, channels, height, width] -> [b, num_classes]."""
        require_variance(self, images, largest=SMALLEST_FOR_ONE)
        maps = functional.relu(self.norm(self.stages(self.stem(images))))
        logits: torch.Tensor = self.output(maps.mean(dim=(2, 3)))
        return logits


def _transition(channels: int) -> nn.Module:
    return nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU(), nn.Conv2d(channels, channels // 2, 1, bias=False), nn.AvgPool2d(2))


@MODELS.register("densenet121")
class DenseNet121(DenseNet):
    """DenseNet-121 for small images: a 3 x 3 stem and no max-pooling, growth rate 32; 6,956,298 parameters at 10 classes."""

    depths = (6, 12, 24, 16)


@MODELS.register("densenet161")
class DenseNet161(DenseNet):
    """DenseNet-161 for small images: a 3 x 3 stem and no max-pooling, growth rate 48; 26,482,378 parameters at 10 classes."""

    growth, depths = 48, (6, 12, 36, 24)


@MODELS.register("densenet169")
class DenseNet169(DenseNet):
    """DenseNet-169 for small images: a 3 x 3 stem and no max-pooling, growth rate 32; 12,493,322 parameters at 10 classes."""

    depths = (6, 12, 32, 32)


@MODELS.register("densenet201")
class DenseNet201(DenseNet):
    """DenseNet-201 for small images: a 3 x 3 stem and no max-pooling, growth rate 32; 18,104,330 parameters at 10 classes."""

    depths = (6, 12, 48, 32)
