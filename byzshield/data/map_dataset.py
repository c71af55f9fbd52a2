"""Map-style data sets of torch, such as those of torchvision and one's own."""

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, IterableDataset, default_collate

from byzshield.data.contract import TrainingData
from byzshield.errors import DataError, explain
from byzshield.seeding import generator

__all__ = ["MapDataset"]

SEEDS: Final = 2**32  # as many as numpy's global generator takes
LABELS: Final = ("targets", "labels")  # under which torchvision's data sets have them


class MapDataset(TrainingData):
    """Two data sets with `__len__` and `__getitem__`, of which only the samples of a file are fetched, when it is computed.

    Before each sample the global generators of random, numpy and torch are seeded by (seed, step, file, place in the file), so
    that random transforms are the same for all workers that hold the file; afterwards they go on as before.

    Args:
        train: training samples, each usually (input, target).
        test: test samples.
        collate: makes a batch of a list of samples; by default torch's, which stacks tensors, arrays and numbers.
        labels: int64 [n], the class of each training sample, for splits by class; by default `train.targets` or
            `train.labels`, if there is one of them.
        num_classes: by default the number of `train.classes`, or one more than the greatest label.

    Raises:
        DataError: one of them is no map-style data set, is empty, or its first samples make no batch.
    """

    def __init__(
        self,
        *,
        train: Any,
        test: Any,
        collate: Callable[[list[Any]], Any] | None = None,
        labels: Sequence[int] | NDArray[Any] | None = None,
        num_classes: int | None = None,
    ) -> None:
        for name, samples in (("train", train), ("test", test)):
            by_number = hasattr(samples, "__len__") and hasattr(samples, "__getitem__")
            if not by_number or isinstance(samples, IterableDataset):
                loader = isinstance(samples, DataLoader)
                raise DataError(
                    f"{name} must be a map-style data set, with __len__ and __getitem__; got {type(samples).__name__}: "
                    f"{'give its .dataset' if loader else 'read what can only be iterated into a list'}"
                )
            try:
                number = len(samples)
            except Exception as error:  # whatever the user's code raises
                raise DataError(f"{name} does not tell how many samples it has: {explain(error)}") from error
            if number < 1:
                raise DataError(f"{name} must have samples; it is empty")
        self.train, self.test = train, test
        self._collate = default_collate if collate is None else collate
        self._labels, self._num_classes = labels, num_classes
        try:
            self.test_batch(0, min(2, len(test)))
        except DataError:
            raise
        except Exception as error:  # whatever the user's code raises
            raise DataError(f"the first samples of test make no batch: {explain(error)}") from error

    @property
    def num_train(self) -> int:
        """n."""
        return len(self.train)

    @property
    def num_test(self) -> int:
        """Test samples."""
        return len(self.test)

    def train_batch(self, rows: NDArray[np.int64], *, seed: int, step: int, file: int, augment: bool) -> Any:
        """The samples of a file, collated. What is random about them is the data set's own, whatever `augment` says."""
        return self._batch("training", self.train, rows, generator(seed, "samples", step, file))

    def test_batch(self, start: int, stop: int) -> Any:
        """Test samples, collated."""
        return self._batch("test", self.test, np.arange(start, stop), generator(0, "test samples", start))

    @cached_property
    def train_labels(self) -> NDArray[np.int64] | None:
        """As given, or as the training set has them.

        Raises:
            DataError: they are not one whole number a sample.
        """
        found = next((getattr(self.train, name) for name in LABELS if hasattr(self.train, name)), None)
        given = found if self._labels is None else self._labels
        if given is None:
            return None
        labels = np.asarray(given)
        if labels.shape == (self.num_train,) and np.issubdtype(labels.dtype, np.integer):
            return labels.astype(np.int64)
        if self._labels is None:
            return None  # targets, but no classes
        raise DataError(f"labels must be a whole number for each of the {self.num_train} training samples; got {labels.shape}")

    @cached_property
    def num_classes(self) -> int | None:
        """As given, or as the training set has them."""
        if self._num_classes is not None:
            return self._num_classes
        if hasattr(self.train, "classes"):
            return len(self.train.classes)
        return None if self.train_labels is None else int(self.train_labels.max()) + 1

    @cached_property
    def image_shape(self) -> tuple[int, int, int] | None:
        """The shape of the inputs without the batch, if they are tensors of three dimensions."""
        batch = self.test_batch(0, 1)
        inputs = batch[0] if isinstance(batch, tuple | list) and batch else None
        if not isinstance(inputs, torch.Tensor) or inputs.ndim != 4:
            return None
        channels, height, width = inputs.shape[1:]
        return channels, height, width

    def _batch(self, part: str, samples: Any, rows: NDArray[np.int64], stream: np.random.Generator) -> Any:
        drawn = stream.integers(SEEDS, size=len(rows)).tolist()
        with _global_generators() as seed:
            items = []
            for row, number in zip(rows.tolist(), drawn, strict=True):
                seed(number)
                try:
                    items.append(samples[row])
                except Exception as error:  # whatever the user's code raises
                    raise DataError(f"{part} sample {row} cannot be read: {explain(error)}") from error
        return self._collate(items)


@contextmanager
def _global_generators() -> Iterator[Callable[[int], None]]:
    """Yields what seeds the generators that a user's transforms draw from; behind the block they go on as before."""
    state, legacy = random.getstate(), np.random.get_state()

    def seed(number: int) -> None:
        random.seed(number)
        np.random.seed(number)
        torch.default_generator.manual_seed(number)

    with torch.random.fork_rng(devices=[]):
        try:
            yield seed
        finally:
            random.setstate(state)
            np.random.set_state(legacy)
