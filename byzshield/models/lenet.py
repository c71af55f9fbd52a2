"""LeNet, with and without an activation of its hidden units."""

import torch
from torch import nn
from torch.nn import functional

from byzshield.errors import ParameterError
from byzshield.models.network import MODELS

__all__ = ["LeNet", "LeNetByzShield"]


@MODELS.register("lenet")
class LeNet(nn.Module):
    """Two 5 x 5 convolutions (20 and 50 maps), each with ReLU and max-pooling, then 500 hidden units with ReLU.

    431,080 parameters on MNIST. The published ByzShield, DETOX and DRACO code has no ReLU after the hidden units: that form is
    `lenet_byzshield`.

    Reference: LeCun et al., "Gradient-based learning applied to document recognition", 1998.

    Args:
        image_shape: (channels, height, width), each side at least 16.
        num_classes: logits.

    Raises:
        ParameterError: the images are smaller.
    """

    def __init__(self, *, image_shape: tuple[int, int, int] = (1, 28, 28), num_classes: int = 10) -> None:
        super().__init__()
        channels, height, width = image_shape
        if min(height, width) < 16:
            raise ParameterError(f"lenet needs images of at least 16 x 16; got {height} x {width}")
        self.conv1 = nn.Conv2d(channels, 20, 5)
        self.conv2 = nn.Conv2d(20, 50, 5)
        self.hidden = nn.Linear(50 * (((height - 4) // 2 - 4) // 2) * (((width - 4) // 2 - 4) // 2), 500)
        self.output = nn.Linear(500, num_classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """[b, channels, height, width] -> [b, num_classes]."""
        logits: torch.Tensor = self.output(functional.relu(self._hidden_units(images)))
        return logits

    def _hidden_units(self, images: torch.Tensor) -> torch.Tensor:
        """[b, channels, height, width] -> [b, 500], before any activation."""
        maps = functional.max_pool2d(functional.relu(self.conv1(images)), 2)
        maps = functional.max_pool2d(functional.relu(self.conv2(maps)), 2)
        units: torch.Tensor = self.hidden(maps.flatten(1))
        return units


@MODELS.register("lenet_byzshield")
class LeNetByzShield(LeNet):
    """LeNet as the published ByzShield, DETOX and DRACO code has it: no activation between the two fully connected layers.

    Same parameters as `lenet`, in the same order and with the same initial values for a seed; another function.
    """

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """[b, channels, height, width] -> [b, num_classes]."""
        logits: torch.Tensor = self.output(self._hidden_units(images))
        return logits
