"""VGG networks in their CIFAR forms, with and without batch normalization."""

from typing import ClassVar, Final

import torch
from torch import nn

from byzshield.errors import ParameterError
from byzshield.models.network import MODELS

__all__ = ["VGG", "VGG11", "VGG11BN", "VGG13", "VGG13BN", "VGG16", "VGG16BN", "VGG19", "VGG19BN"]

SMALLEST: Final = 32  # pixels a side: five poolings leave one


class VGG(nn.Module):
    """3 x 3 convolutions with bias and ReLU in five stages of 64, 128, 256, 512 and 512 maps, each ending in 2 x 2 max-pooling.

    The form for CIFAR: one linear layer over the 512 maps, which are single values for images up to 63 x 63 and are averaged for
    larger ones, in place of the three fully connected layers for ImageNet. The published ByzShield and DETOX code has the same.
    Convolutions start from He's normal distribution by fan-out, the linear layer from N(0, 0.01^2), and biases from 0, as there
    and in torchvision: from torch's own start, the outputs of VGG-19 without batch normalization hardly depend on the image.

    Reference: Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", ICLR 2015, table 1,
    configurations A, B, D and E.

    Args:
        image_shape: (channels, height, width), each side at least 32.
        num_classes: logits.

    Raises:
        ParameterError: the images are smaller.
    """

    depths: ClassVar[tuple[int, int, int, int, int]]
    batch_norm: ClassVar[bool] = False

    def __init__(self, *, image_shape: tuple[int, int, int] = (3, 32, 32), num_classes: int = 10) -> None:
        super().__init__()
        channels_in, height, width = image_shape
        if min(height, width) < SMALLEST:
            raise ParameterError(
                f"{type(self).__name__} needs images of at least {SMALLEST} x {SMALLEST}; got {height} x {width}: use a ResNet"
            )
        layers: list[nn.Module] = []
        for channels, depth in zip((64, 128, 256, 512, 512), self.depths, strict=True):
            for _ in range(depth):
                layers.append(nn.Conv2d(channels_in, channels, 3, padding=1))
                if self.batch_norm:
                    layers.append(nn.BatchNorm2d(channels))
                layers.append(nn.ReLU())
                channels_in = channels
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        self.output = nn.Linear(channels_in, num_classes)
        for layer in layers:
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
                assert layer.bias is not None
                nn.init.zeros_(layer.bias)
        nn.init.normal_(self.output.weight, std=0.01)
        nn.init.zeros_(self.output.bias)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """[b, channels, height, width] -> [b, num_classes]."""
        logits: torch.Tensor = self.output(self.features(images).mean(dim=(2, 3)))
        return logits


@MODELS.register("vgg11")
class VGG11(VGG):
    """VGG-11 for CIFAR: one linear layer after five stages of convolutions; 9,225,610 parameters at 10 classes."""

    depths = (1, 1, 2, 2, 2)


@MODELS.register("vgg11_bn")
class VGG11BN(VGG11):
    """VGG-11 for CIFAR with batch normalization after each convolution; 9,231,114 parameters at 10 classes."""

    batch_norm = True


@MODELS.register("vgg13")
class VGG13(VGG):
    """VGG-13 for CIFAR: one linear layer after five stages of convolutions; 9,410,122 parameters at 10 classes."""

    depths = (2, 2, 2, 2, 2)


@MODELS.register("vgg13_bn")
class VGG13BN(VGG13):
    """VGG-13 for CIFAR with batch normalization after each convolution; 9,416,010 parameters at 10 classes."""

    batch_norm = True


@MODELS.register("vgg16")
class VGG16(VGG):
    """VGG-16 for CIFAR: one linear layer after five stages of convolutions; 14,719,818 parameters at 10 classes."""

    depths = (2, 2, 3, 3, 3)


@MODELS.register("vgg16_bn")
class VGG16BN(VGG16):
    """VGG-16 for CIFAR with batch normalization after each convolution; 14,728,266 parameters at 10 classes."""

    batch_norm = True


@MODELS.register("vgg19")
class VGG19(VGG):
    """VGG-19 for CIFAR: one linear layer after five stages of convolutions; 20,029,514 parameters at 10 classes."""

    depths = (2, 2, 4, 4, 4)


@MODELS.register("vgg19_bn")
class VGG19BN(VGG19):
    """VGG-19 for CIFAR with batch normalization after each convolution; 20,040,522 parameters at 10 classes."""

    batch_norm = True
