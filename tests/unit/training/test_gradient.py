"""What a gradient is computed from."""

from dataclasses import replace
from typing import Literal

import numpy as np
import pytest
import torch

from byzshield.data import Dataset, FileSampler, crop_and_flip
from byzshield.models import MLP, FlatModel
from byzshield.seeding import generator
from byzshield.training import GradientComputer


def gradient(dataset: Dataset, *, augment: bool) -> bytes:
    """Of file 1 of 2 in step 1, seed 1."""
    torch.manual_seed(0)
    model = FlatModel(MLP(image_shape=(3, 8, 8), num_classes=2, hidden=[4]))
    sampler = FileSampler(num_samples=12, batch_size=12, num_files=2, seed=1)
    computer = GradientComputer(model, dataset, sampler, seed=1, augment=augment, device="cpu")
    return computer(1, 1).tobytes()


@pytest.mark.parametrize("mode", ["reflect", "constant"])
@pytest.mark.parametrize("read_only", [False, True])
def test_images_are_augmented_with_the_padding_of_their_data_set(mode: Literal["reflect", "constant"], read_only: bool) -> None:
    images = np.random.default_rng(0).integers(1, 256, (12, 3, 8, 8), dtype=np.uint8)
    labels = np.arange(12) % 2
    for array in (images, labels):
        array.flags.writeable = not read_only
    dataset = Dataset(
        train_images=images,
        train_labels=labels,
        test_images=images,
        test_labels=labels,
        num_classes=2,
        mean=(0.5,) * 3,
        std=(0.3,) * 3,
        padding_mode=mode,
    )
    rows = FileSampler(num_samples=12, batch_size=12, num_files=2, seed=1).indices(1)[1]
    by_hand = images.copy()
    by_hand[rows] = crop_and_flip(images[rows], generator(1, "augmentation", 1, 1), mode=mode)
    assert gradient(dataset, augment=True) == gradient(replace(dataset, train_images=by_hand), augment=False)
    assert gradient(dataset, augment=True) != gradient(dataset, augment=False)
