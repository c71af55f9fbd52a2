"""Images made from a seed, for tests and for timing."""

from collections.abc import Sequence
from math import prod
from pathlib import Path
from typing import Final

import numpy as np

from byzshield.data.dataset import DATASETS, Dataset
from byzshield.errors import ParameterError
from byzshield.seeding import generator

__all__ = ["synthetic"]

MOST_BYTES: Final = 1 << 32
MOST_NOISE: Final = 1000


@DATASETS.register("synthetic")
def synthetic(
    *,
    root: Path | None = None,
    download: bool = False,
    image_shape: Sequence[int] = (1, 28, 28),
    num_classes: int = 10,
    num_train: int = 1000,
    num_test: int = 200,
    noise: float = 40.0,
) -> Dataset:
    """One random pattern a class, plus Gaussian noise; the same images on every machine.

    Args:
        root: unused; nothing is stored.
        download: unused.
        image_shape: (channels, height, width).
        num_classes: classes, balanced.
        num_train: training images; all images together have at most 4 GiB.
        num_test: test images.
        noise: standard deviation of the noise, in gray levels of 0 to 255; 0 to 1000.

    Raises:
        ParameterError: a size is out of range.
    """
    if len(image_shape) != 3 or min(image_shape) < 1:
        raise ParameterError(f"image_shape must be three positive numbers; got {list(image_shape)}")
    for name, size in (("num_train", num_train), ("num_test", num_test), ("num_classes", num_classes)):
        if size < 1:
            raise ParameterError(f"{name} must be at least 1; got {size}")
    if num_classes > num_train:
        raise ParameterError(f"num_classes must not exceed num_train, or a class has no image; got {num_classes} of {num_train}")
    if (num_train + num_test) * prod(image_shape) > MOST_BYTES:
        raise ParameterError(
            f"num_train + num_test images of {list(image_shape)} must fit into {MOST_BYTES >> 30} GiB; they do not"
        )
    if not 0 <= noise <= MOST_NOISE:
        raise ParameterError(f"noise must be between 0 and {MOST_NOISE} gray levels; got {noise}")
    rng = generator(0, "synthetic images")
    patterns = rng.uniform(0, 255, (num_classes, *image_shape))
    labels = np.arange(num_train + num_test, dtype=np.int64) % num_classes
    images = np.empty((len(labels), *image_shape), dtype=np.uint8)
    for row, label in enumerate(labels):
        images[row] = np.clip(patterns[label] + noise * rng.standard_normal(tuple(image_shape)), 0, 255)
    return Dataset(
        train_images=images[:num_train],
        train_labels=labels[:num_train],
        test_images=images[num_train:],
        test_labels=labels[num_train:],
        num_classes=num_classes,
        mean=(0.5,) * image_shape[0],
        std=(0.3,) * image_shape[0],
        location="made anew by each process",
    )
