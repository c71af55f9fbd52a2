"""Images in memory: what every data set is once it is loaded."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from byzshield.choices import require_choice
from byzshield.data.contract import TrainingData
from byzshield.data.sampling import crop_and_flip
from byzshield.errors import ConfigError, DataError
from byzshield.registry import Registry
from byzshield.seeding import generator

__all__ = ["DATASETS", "Dataset", "as_training_data", "load", "training_data_of"]


Padding = Literal["reflect", "constant"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Dataset:
    """Training and test images with their labels, in memory.

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

    Raises:
        DataError: an array has another type or shape, lengths differ, or a label is no class.
    """

    train_images: NDArray[np.uint8]
    train_labels: NDArray[np.int64]
    test_images: NDArray[np.uint8]
    test_labels: NDArray[np.int64]
    num_classes: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    padding_mode: Padding = "reflect"
    location: str = "made by a function of its own"

    def __post_init__(self) -> None:
        if not isinstance(self.num_classes, int | np.integer) or self.num_classes < 1:
            raise DataError(f"num_classes must be a whole number of at least 1; got {self.num_classes!r}")
        _check_part("train", self.train_images, self.train_labels, self.num_classes)
        _check_part("test", self.test_images, self.test_labels, self.num_classes)
        shape, of_test = list(self.train_images.shape[1:]), list(self.test_images.shape[1:])
        if shape != of_test:
            raise DataError(f"test_images must have the shape of train_images, [n, *{shape}]; got [n, *{of_test}]")
        if len(_finite(self.mean)) != shape[0]:
            raise DataError(f"mean must have a number for each of the {shape[0]} channels; got {self.mean!r}")
        if len(_finite(self.std)) != shape[0] or min(_finite(self.std)) <= 0:
            raise DataError(f"std must have a positive number for each of the {shape[0]} channels; got {self.std!r}")
        require_choice("padding_mode", self.padding_mode, Padding)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(channels, height, width)."""
        channels, height, width = self.train_images.shape[1:]
        return int(channels), int(height), int(width)

    @property
    def num_train(self) -> int:
        """n, training images."""
        return len(self.train_labels)

    @property
    def num_test(self) -> int:
        """Test images."""
        return len(self.test_labels)

    def train_batch(self, rows: NDArray[np.int64], *, seed: int, step: int, file: int, augment: bool) -> Any:
        """Images, normalized, and labels; cropped and flipped at random if the run asks for it."""
        images = self.train_images[rows]
        if augment:
            images = crop_and_flip(images, generator(seed, "augmentation", step, file), mode=self.padding_mode)
        return self.normalize(images), torch.from_numpy(self.train_labels[rows])

    def test_batch(self, start: int, stop: int) -> Any:
        """Images, normalized, and labels."""
        return self.normalize(self.test_images[start:stop]), torch.tensor(self.test_labels[start:stop])

    def normalize(self, images: NDArray[np.uint8]) -> torch.Tensor:
        """uint8 [b, channels, height, width] -> float32 of the same shape, normalized per channel."""
        scale = torch.tensor([255.0 * std for std in self.std]).view(-1, 1, 1)
        shift = torch.tensor([mean / std for mean, std in zip(self.mean, self.std, strict=True)]).view(-1, 1, 1)
        return torch.from_numpy(images.astype(np.float32, order="C")) / scale - shift


# Each entry is called as load(root=Path, download=bool, **own keywords) -> TrainingData; of a user's own, a pair of map-style
# data sets of torch, (train, test), will do.
DATASETS: Registry[Callable[..., Any]] = Registry("data set", "byzshield.data", given=["root", "download"], checks_arguments=True)


def load(name: str, *, root: Path, download: bool = False, **options: Any) -> TrainingData:
    """Loads a data set by name.

    Raises:
        DataError: its files are missing or damaged.
        ConfigError: there is no such data set, or the user's own function fails or makes something else.
    """
    parameters = DATASETS.signature(name)
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    given = {"root": root, "download": download}
    with DATASETS.calling(name):  # a user's own function may have no use for what the program gives
        dataset = DATASETS.get(name)(**{key: given[key] for key in given if takes_any or key in parameters}, **options)
    return as_training_data(dataset, f"data set {name!r}")


def as_training_data(value: Any, what: str) -> TrainingData:
    """What a user's function or program may give as data.

    Args:
        value: a data set of this package, or a pair (train, test) of what `training_data_of` takes.
        what: how to call it in a message.

    Raises:
        ConfigError: it is neither.
        DataError: the pair is none of sound data sets.
    """
    if isinstance(value, tuple | list) and len(value) == 2:
        return training_data_of(*value)
    if not callable(getattr(value, "train_batch", None)):
        raise ConfigError(
            f"{what} must be a Dataset, ArrayDataset or MapDataset of byzshield.data, or a pair (train, test) of map-style data "
            f"sets; got {type(value).__name__}"
        )
    data: TrainingData = value
    return data


def training_data_of(train: Any, test: Any, *, collate: Callable[[list[Any]], Any] | None = None) -> TrainingData:
    """One data set of what to train on and what to test with.

    Args:
        train: a pair of arrays, (inputs, targets), or a map-style data set of torch.
        test: the same for the test.
        collate: makes a batch of a list of samples of the latter.

    Raises:
        DataError: they are unsound.
    """
    from byzshield.data.array_dataset import ArrayDataset, is_pair_of_arrays  # of which a run on images has no use
    from byzshield.data.map_dataset import MapDataset

    pairs = [is_pair_of_arrays(part) for part in (train, test)]
    if all(pairs):
        return ArrayDataset(train=train, test=test)
    if any(pairs):  # the other one's samples would be told apart from rows of arrays by nobody
        arrays, samples = ("train", "test") if pairs[0] else ("test", "train")
        raise DataError(
            f"{arrays} is a pair of arrays and {samples} a data set; give two of a kind, "
            f"such as {arrays}=TensorDataset(*map(torch.as_tensor, {arrays}))"
        )
    return MapDataset(train=train, test=test, collate=collate)


def _check_part(part: str, images: Any, labels: Any, num_classes: int) -> None:
    """Refuses arrays that a user's own data set may have got wrong, and that would fail in the middle of a step."""
    if not isinstance(images, np.ndarray) or images.dtype != np.uint8 or images.ndim != 4 or not images.size:
        raise DataError(
            f"{part}_images must be a NumPy array of uint8, [n, channels, height, width], none of them 0; got {_describe(images)}"
        )
    if not isinstance(labels, np.ndarray) or labels.dtype != np.int64 or labels.shape != images.shape[:1]:
        raise DataError(
            f"{part}_labels must be a NumPy array of int64, [{len(images)}] as {part}_images has so many; got {_describe(labels)}"
        )
    least, most = int(labels.min()), int(labels.max())
    if least < 0 or most >= num_classes:
        raise DataError(f"{part}_labels must be 0 to {num_classes - 1}, as num_classes is {num_classes}; got {least} to {most}")


def _finite(values: Any) -> tuple[float, ...]:
    """The numbers of a sequence; () if it is none, or one of them is not finite."""
    try:
        numbers = tuple(map(float, values))
    except (TypeError, ValueError):
        return ()
    return numbers if all(map(math.isfinite, numbers)) else ()


def _describe(value: Any) -> str:
    return f"{value.dtype} {list(value.shape)}" if isinstance(value, np.ndarray) else type(value).__name__
