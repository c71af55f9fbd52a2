"""The contract of every data set: which samples there are, and a batch of any of them."""

from abc import abstractmethod
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["TrainingData"]


class TrainingData(Protocol):
    """Samples to train on and samples to test with.

    A batch is whatever the loss makes sense of; for a loss of (output, target) it is a pair (inputs, target). Its tensors are on
    the CPU; they may be in tuples, lists and dictionaries.
    """

    @property
    @abstractmethod
    def num_train(self) -> int:
        """n, training samples."""

    @property
    @abstractmethod
    def num_test(self) -> int:
        """Test samples."""

    @abstractmethod
    def train_batch(self, rows: NDArray[np.int64], *, seed: int, step: int, file: int, augment: bool) -> Any:
        """The training samples of one file; equal arguments give equal bytes in every process.

        Args:
            rows: [b], which samples, numbered from 0. Nothing else needs to be read.
            seed: the run's seed; what is random comes from (seed, step, file) and the place in the file.
            step: the training step, from 1.
            file: the file.
            augment: whether the run asks for the data set's own augmentation.
        """

    @abstractmethod
    def test_batch(self, start: int, stop: int) -> Any:
        """The test samples from `start` to `stop` - 1."""

    @property
    def train_labels(self) -> NDArray[np.int64] | None:
        """The class of each training sample, int64 [n]; None if there are no classes or they are not known beforehand."""
        return None

    @property
    def num_classes(self) -> int | None:
        """Classes, numbered from 0; None if the targets are no classes, or how many there are is not known."""
        return None

    @property
    def image_shape(self) -> tuple[int, int, int] | None:
        """(channels, height, width); None if the inputs are no images."""
        return None

    @property
    def location(self) -> str:
        """Where the samples are, in words that can end a sentence."""
        return "given by a Python program"
