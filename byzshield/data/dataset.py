"""Images in memory: what every data set is once it is loaded."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from byzshield.registry import Registry

__all__ = ["DATASETS", "Dataset", "load"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Dataset:
    """Training and test images with their labels.

    Args:
        train_images: uint8 [n, channels, height, width].
        train_labels: int64 [n], 0 <= label < num_classes.
        test_images: as train_images.
        test_labels: as train_labels.
        num_classes: number of classes.
        mean: per channel, of pixels scaled to [0, 1]; subtracted.
        std: per channel, of pixels scaled to [0, 1]; divided by.
        padding_mode: how augmentation pads, as is published for the data set: "reflect", or "constant" with zeros.
        location: where the images are, in words that can end a sentence.
    """

    train_images: NDArray[np.uint8]
    train_labels: NDArray[np.int64]
    test_images: NDArray[np.uint8]
    test_labels: NDArray[np.int64]
    num_classes: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    padding_mode: Literal["reflect", "constant"] = "reflect"
    location: str = "made by a function of its own"

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(channels, height, width)."""
        channels, height, width = self.train_images.shape[1:]
        return int(channels), int(height), int(width)

    def normalize(self, images: NDArray[np.uint8]) -> torch.Tensor:
        """uint8 [b, channels, height, width] -> float32 of the same shape, normalized per channel."""
        scale = torch.tensor([255.0 * std for std in self.std]).view(-1, 1, 1)
        shift = torch.tensor([mean / std for mean, std in zip(self.mean, self.std, strict=True)]).view(-1, 1, 1)
        return torch.from_numpy(images.astype(np.float32, order="C")) / scale - shift


# Each entry is called as load(root=Path, download=bool, **own keywords) -> Dataset.
DATASETS: Registry[Callable[..., Dataset]] = Registry("data set", "byzshield.data", given=["root", "download"])


def load(name: str, *, root: Path, download: bool = False, **options: Any) -> Dataset:
    """Loads a data set by name.

    Raises:
        DataError: its files are missing or damaged.
    """
    return DATASETS.get(name)(root=root, download=download, **options)
