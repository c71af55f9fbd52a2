"""Samples that are rows of arrays, in memory or mapped from files."""

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from byzshield.data.contract import TrainingData
from byzshield.data.dataset import DATASETS
from byzshield.errors import DataError, ParameterError

__all__ = ["ArrayDataset", "arrays", "is_pair_of_arrays"]

Pair = tuple[NDArray[Any], NDArray[Any]]


class ArrayDataset(TrainingData):
    """Rows of arrays: a table, windows of a signal, images that are floats already.

    Only the rows of a file are read, so that an array which numpy maps (`numpy.load(..., mmap_mode="r")`) may be larger than
    memory. In a batch, numbers with a fraction are float32 and whole numbers int64.

    Args:
        train: (inputs [n, ...], targets [n, ...]), arrays of numbers or torch tensors on the CPU.
        test: the same for the test.
        location: where they are, in words that can end a sentence.

    Raises:
        DataError: they are no arrays of numbers, or have different lengths.
    """

    def __init__(self, *, train: Any, test: Any, location: str = "given by a Python program") -> None:
        self._train, self._test = _pair("train", train), _pair("test", test)
        self._location = location
        for name, ours, theirs in zip(("inputs", "targets"), self._train, self._test, strict=True):
            if ours.shape[1:] != theirs.shape[1:]:
                raise DataError(
                    f"the {name} of train and test must have rows of the same shape; "
                    f"got {list(ours.shape[1:])} and {list(theirs.shape[1:])}"
                )

    @property
    def num_train(self) -> int:
        """n."""
        return len(self._train[0])

    @property
    def num_test(self) -> int:
        """Test samples."""
        return len(self._test[0])

    def train_batch(self, rows: NDArray[np.int64], *, seed: int, step: int, file: int, augment: bool) -> Any:
        """(inputs, targets) of these rows; nothing about them is random."""
        return _batch(self._train, rows)

    def test_batch(self, start: int, stop: int) -> Any:
        """(inputs, targets) of these rows."""
        return _batch(self._test, slice(start, stop))

    @cached_property
    def train_labels(self) -> NDArray[np.int64] | None:
        """The targets, if they are one whole number of at least 0 for each sample."""
        targets = self._train[1]
        if targets.ndim != 1 or not np.issubdtype(targets.dtype, np.integer) or targets.min() < 0:
            return None
        return np.asarray(targets, dtype=np.int64)

    @cached_property
    def num_classes(self) -> int | None:
        """One more than the greatest label."""
        labels = self.train_labels
        return None if labels is None else int(max(labels.max(), self._test[1].max())) + 1

    @property
    def image_shape(self) -> tuple[int, int, int] | None:
        """The shape of an input, if it has three dimensions."""
        shape = self._train[0].shape[1:]
        return (shape[0], shape[1], shape[2]) if len(shape) == 3 else None

    @property
    def location(self) -> str:
        """As given."""
        return self._location


@DATASETS.register("arrays")
def arrays(
    *, root: Path, train_inputs: str, train_targets: str, test_inputs: str, test_targets: str, download: bool = False
) -> ArrayDataset:
    """Rows of four .npy files, which are mapped and not loaded, so that they may be larger than memory.

    Args:
        root: the folder that the files are in, unless their paths are absolute.
        train_inputs: [n, ...]; numbers with a fraction become float32, whole numbers int64.
        train_targets: [n, ...], as the loss wants them.
        test_inputs: [m, ...].
        test_targets: [m, ...].
        download: unused; these files are the user's own.

    Raises:
        DataError: a file is missing, is no array of numbers, or lengths differ.
    """
    if download:
        raise ParameterError("arrays are your own files; there is nothing to download")
    mapped = [_mapped(root / name) for name in (train_inputs, train_targets, test_inputs, test_targets)]
    return ArrayDataset(train=(mapped[0], mapped[1]), test=(mapped[2], mapped[3]), location=f"in {root}")


def is_pair_of_arrays(value: Any) -> bool:
    """Whether this is (inputs, targets), and not a data set that happens to have two samples."""
    return (
        isinstance(value, tuple | list)
        and len(value) == 2
        and all(isinstance(array, np.ndarray | torch.Tensor) for array in value)
    )


def _mapped(path: Path) -> NDArray[Any]:
    try:
        array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path} cannot be mapped as a .npy file: {error}") from error
    return array


def _pair(part: str, pair: Any) -> Pair:
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        raise DataError(f"{part} must be a pair of arrays, (inputs, targets); got {type(pair).__name__}")
    inputs, targets = (value.numpy() if isinstance(value, torch.Tensor) else value for value in pair)
    for name, array in (("inputs", inputs), ("targets", targets)):
        if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiub" or not array.size or not array.ndim:
            raise DataError(f"the {name} of {part} must be an array of numbers [n, ...], none of them 0; got {_describe(array)}")
    if len(inputs) != len(targets):
        raise DataError(f"{part} must have a target for each input; got {len(inputs)} inputs and {len(targets)} targets")
    return inputs, targets


def _batch(pair: Pair, rows: NDArray[np.int64] | slice) -> tuple[torch.Tensor, torch.Tensor]:
    inputs, targets = (_tensor(array[rows]) for array in pair)
    return inputs, targets


def _tensor(array: NDArray[Any]) -> torch.Tensor:
    kind = {"f": np.float32, "b": np.bool_}.get(array.dtype.kind, np.int64)
    return torch.from_numpy(np.array(array, dtype=kind, order="C"))


def _describe(value: Any) -> str:
    return f"{value.dtype} {list(value.shape)}" if isinstance(value, np.ndarray) else type(value).__name__
