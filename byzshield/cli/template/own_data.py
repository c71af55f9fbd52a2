"""The data: a function that returns them. Every process calls it, and has to get the same, so draw from a fixed seed."""

import numpy as np

from byzshield.data import Dataset


def load() -> Dataset:
    """Images of a bright row, a bright column or a bright diagonal, under noise."""
    train_images, train_labels = draw(3000, seed=1)
    test_images, test_labels = draw(600, seed=2)
    return Dataset(
        train_images=train_images,
        train_labels=train_labels,
        test_images=test_images,
        test_labels=test_labels,
        num_classes=3,
        mean=(0.5,),
        std=(0.3,),
    )


def draw(count: int, *, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Images, uint8 [count, 1, 8, 8], and their labels [count]."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 128, (count, 1, 8, 8))
    labels = rng.integers(0, 3, count)
    for image, label in zip(images[:, 0], labels, strict=True):
        place = rng.integers(8)
        pixels = (place, slice(None)), (slice(None), place), (np.arange(8), (np.arange(8) + place) % 8)
        image[pixels[label]] += 127
    return images.astype(np.uint8), labels
