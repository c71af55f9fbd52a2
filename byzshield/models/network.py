"""The contract of a network: image shape and classes in, logits out."""

from collections.abc import Callable

import torch
from torch import nn

from byzshield.errors import ParameterError
from byzshield.registry import Registry

__all__ = ["MODELS", "require_variance"]

# Each entry is a class or function, called as network(image_shape=(channels, height, width), num_classes=n, **own keywords), and
# makes a module from float32 images [b, channels, height, width] to logits [b, num_classes]. A function that takes any keyword
# usually passes it on to a class of another library, which knows num_classes, but not image_shape.
MODELS: Registry[Callable[..., nn.Module]] = Registry(
    "model", "byzshield.models", given=["image_shape", "num_classes"], only_named=["image_shape"]
)


def require_variance(module: nn.Module, images: torch.Tensor, *, largest: int) -> None:
    """Refuses to train on a single image that leaves one value a channel at the last BatchNorm layer, which has no variance.

    Args:
        module: the network.
        images: [b, channels, height, width].
        largest: pixels a side up to which one value a channel is left.

    Raises:
        ParameterError: there is a single one of these images, and the network is in training mode.
    """
    if module.training and len(images) == 1 and max(images.shape[2:]) <= largest:
        raise ParameterError(
            f"{type(module).__name__} needs at least 2 samples a file for images up to {largest} x {largest}: "
            "raise data.batch_size"
        )
