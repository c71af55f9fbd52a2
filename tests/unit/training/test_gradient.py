"""What a gradient is computed from."""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pytest
import torch
from torch.nn import functional

from byzshield.data import Dataset, FileSampler, crop_and_flip
from byzshield.models import MLP, FlatModel, flat
from byzshield.objectives import Objective
from byzshield.seeding import generator
from byzshield.training import GradientComputer


def noise(**options: Any) -> Dataset:
    """Twelve images of two classes."""
    images = np.random.default_rng(0).integers(1, 256, (12, 3, 8, 8), dtype=np.uint8)
    labels = np.arange(12) % 2
    return Dataset(
        train_images=images,
        train_labels=labels,
        test_images=images,
        test_labels=labels,
        num_classes=2,
        mean=(0.5,) * 3,
        std=(0.3,) * 3,
        **options,
    )


def computer_of(dataset: Dataset, *, augment: bool, clock: Callable[[], float] = time.perf_counter) -> GradientComputer:
    """With two files, seed 1."""
    torch.manual_seed(0)
    model = FlatModel(MLP(image_shape=(3, 8, 8), num_classes=2, hidden=[4]))
    sampler = FileSampler(num_samples=12, batch_size=12, num_files=2, seed=1)
    return GradientComputer(
        model,
        dataset,
        sampler,
        Objective(loss=functional.cross_entropy).loss_of,
        seed=1,
        augment=augment,
        device="cpu",
        clock=clock,
    )


def gradient(dataset: Dataset, *, augment: bool) -> bytes:
    """Of file 1 in step 1."""
    return computer_of(dataset, augment=augment)(1, 1).tobytes()


@pytest.mark.parametrize("mode", ["reflect", "constant"])
@pytest.mark.parametrize("read_only", [False, True])
def test_images_are_augmented_with_the_padding_of_their_data_set(mode: Literal["reflect", "constant"], read_only: bool) -> None:
    dataset = noise(padding_mode=mode)
    images = dataset.train_images
    for array in (images, dataset.train_labels):
        array.flags.writeable = not read_only
    rows = FileSampler(num_samples=12, batch_size=12, num_files=2, seed=1).indices(1)[1]
    by_hand = images.copy()
    by_hand[rows] = crop_and_flip(images[rows], generator(1, "augmentation", 1, 1), mode=mode)
    assert gradient(dataset, augment=True) == gradient(replace(dataset, train_images=by_hand), augment=False)
    assert gradient(dataset, augment=True) != gradient(dataset, augment=False)


def test_the_time_of_all_gradients_is_added_up() -> None:
    times = iter([10.0, 12.0, 20.0, 20.5])
    computer = computer_of(noise(), augment=False, clock=lambda: next(times))
    computer(1, 0)
    computer(1, 1)
    assert computer.seconds == 2.5


def test_a_vector_that_somebody_keeps_stays_as_it_is_and_its_memory_serves_again_afterwards(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(flat, "LEAST_KEPT", 0)  # which these short ones are not worth
    computer = computer_of(noise(), augment=False)
    first = computer(1, 0)
    part, before = first[3:], first.copy()
    address = first.ctypes.data
    del first
    second = computer(1, 1)
    assert second.tobytes() != before.tobytes()
    assert part.tobytes() == before[3:].tobytes()
    del part
    third = computer(1, 0)
    assert (third.ctypes.data, third.tobytes()) == (address, before.tobytes())
    assert second.ctypes.data != address


def test_a_parameter_without_a_gradient_has_zeros_in_a_vector_that_was_used_before() -> None:
    """What a step before has left there must not count."""
    module = torch.nn.Sequential(torch.nn.Linear(2, 1, bias=False), torch.nn.Linear(2, 1, bias=False))
    model = FlatModel(module)
    assert model.gradient(lambda net: net[0].weight.sum() + net[1].weight.sum()).tolist()[:4] == [1, 1, 1, 1]
    assert model.gradient(lambda net: net[0].weight.sum()).tolist()[:4] == [1, 1, 0, 0]
    assert [parameter.grad for parameter in module.parameters()] == [None, None]
