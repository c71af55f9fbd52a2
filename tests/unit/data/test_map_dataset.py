"""Map-style data sets of torch as training data."""

import random
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from byzshield.data import MapDataset, as_training_data
from byzshield.errors import ConfigError, DataError

ROWS = np.array([3, 1, 4])


class Jittered:
    """Adds noise from each of the three global generators; counts who is asked for."""

    def __init__(self, size: int = 10) -> None:
        self.size = size
        self.asked: list[int] = []

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        self.asked.append(index)
        noise = [random.random(), float(np.random.random()), float(torch.rand(()))]
        return index + torch.tensor(noise, dtype=torch.float64), index


def batch(data: MapDataset, rows: Any = ROWS, *, step: int = 1, file: int = 0, seed: int = 1) -> Any:
    return data.train_batch(rows, seed=seed, step=step, file=file, augment=False)


def test_copies_of_a_file_are_equal_whatever_was_drawn_in_between() -> None:
    data = MapDataset(train=Jittered(), test=Jittered())
    inputs, targets = batch(data)
    random.random(), np.random.random(), torch.rand(3)
    again, _ = batch(MapDataset(train=Jittered(), test=Jittered()))
    assert torch.equal(inputs, again)
    assert targets.tolist() == ROWS.tolist()
    assert (inputs - targets[:, None]).unique().numel() == 9  # and each sample draws for itself


@pytest.mark.parametrize("changed", [{"step": 2}, {"file": 1}, {"seed": 2}])
def test_other_steps_files_and_seeds_draw_anew(changed: dict[str, int]) -> None:
    data = MapDataset(train=Jittered(), test=Jittered())
    assert not torch.equal(batch(data)[0], batch(data, **changed)[0])


def test_the_global_generators_go_on_as_if_nothing_had_been_fetched() -> None:
    def draws() -> list[float]:
        return [random.random(), float(np.random.random()), float(torch.rand(()))]

    data = MapDataset(train=Jittered(), test=Jittered())
    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    expected = draws()
    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    batch(data)
    assert draws() == expected


def test_nothing_but_the_samples_of_the_file_is_fetched() -> None:
    train = Jittered()
    batch(MapDataset(train=train, test=Jittered()))
    assert train.asked == ROWS.tolist()


def test_samples_may_be_anything_that_the_users_collate_takes() -> None:
    data = MapDataset(train=[{"x": 1}, {"x": 2}], test=[{"x": 3}], collate=lambda samples: sum(each["x"] for each in samples))
    assert batch(data, np.array([0, 1])) == 3
    assert data.test_batch(0, 1) == 3
    assert data.image_shape is None


def test_classes_and_images_are_recognized() -> None:
    images = TensorDataset(torch.zeros(6, 1, 4, 5), torch.arange(6) % 3)
    images.targets = torch.arange(6) % 3  # type: ignore[attr-defined]
    data = MapDataset(train=images, test=images)
    assert (data.image_shape, data.num_classes) == ((1, 4, 5), 3)
    assert data.train_labels is not None
    assert data.train_labels.tolist() == [0, 1, 2, 0, 1, 2]
    images.targets = torch.rand(6)  # type: ignore[attr-defined]
    assert MapDataset(train=images, test=images).num_classes is None
    assert MapDataset(train=images, test=images, num_classes=7).num_classes == 7
    images.classes = ["cat", "dog"]  # type: ignore[attr-defined]
    assert MapDataset(train=images, test=images).num_classes == 2


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MapDataset(train=iter([1]), test=[1]), "train must be a map-style data set, .* got list_iterator"),
        (lambda: MapDataset(train=[1], test=[]), "test must have samples; it is empty"),
        (lambda: MapDataset(train=[1], test=[object()]), "the first samples of test make no batch: TypeError"),
        (lambda: MapDataset(train=[1, 2], test=[1], labels=[1]).train_labels, r"labels must be .* each of the 2 .* got \(1,\)"),
    ],
)
def test_what_is_no_data_set_is_refused_in_one_line(make: Callable[[], object], message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_a_pair_is_training_data_and_other_things_are_not() -> None:
    assert as_training_data(([1, 2, 3], [4]), "it").num_train == 3
    with pytest.raises(ConfigError, match=r"it must be a Dataset, .* got SimpleNamespace"):
        as_training_data(SimpleNamespace(), "it")


class Stream(IterableDataset[int]):
    """Says how many it has, and cannot give any of them by its number."""

    def __iter__(self) -> Iterator[int]:
        return iter(range(10))

    def __len__(self) -> int:
        return 10


@pytest.mark.parametrize(
    ("samples", "advice"),
    [
        (Stream(), "got Stream: read what can only be iterated into a list"),
        (DataLoader(TensorDataset(torch.zeros(10, 2))), "got DataLoader: give its .dataset"),
    ],
)
def test_what_can_only_be_iterated_is_refused_with_what_to_give_instead(samples: Any, advice: str) -> None:
    with pytest.raises(DataError, match=advice):
        MapDataset(train=samples, test=Jittered())


def test_a_sample_that_cannot_be_read_is_named() -> None:
    class Torn(Jittered):
        def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
            if index == 4:
                raise OSError("image file is truncated")
            return super().__getitem__(index)

    with pytest.raises(
        DataError, match=r"^training sample 4 cannot be read: OSError: image file is truncated \(test_map_.*, line"
    ):
        batch(MapDataset(train=Torn(), test=Jittered()))
    with pytest.raises(DataError, match=r"^test sample 4 cannot be read"):
        MapDataset(train=Jittered(), test=Torn()).test_batch(0, 10)
