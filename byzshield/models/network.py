"""The contract of a network: image shape and classes in, logits out."""

from torch import nn

from byzshield.registry import Registry

__all__ = ["MODELS"]

# Each entry is constructed as Network(image_shape=(channels, height, width), num_classes=n, **own keywords) and maps
# float32 images [b, channels, height, width] to logits [b, num_classes].
MODELS: Registry[type[nn.Module]] = Registry("model", "byzshield.models", base=nn.Module, given=["image_shape", "num_classes"])
