"""MNIST and CIFAR-10 through torchvision, which is imported only when one of them is asked for."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from byzshield.data.dataset import DATASETS, Dataset
from byzshield.errors import DataError

__all__ = ["cifar10", "mnist"]


@DATASETS.register("mnist")
def mnist(*, root: Path, download: bool = False) -> Dataset:
    """MNIST: 60,000 + 10,000 images of 28 x 28, read from the IDX files under `root`/MNIST/raw.

    Args:
        root: the data folder, in torchvision's layout.
        download: whether to fetch what is missing.

    Raises:
        DataError: the files are missing or damaged.
    """
    train, test = _torchvision("MNIST", "mnist", root, download)
    return Dataset(
        train_images=np.asarray(train.data)[:, None],
        train_labels=_labels(train),
        test_images=np.asarray(test.data)[:, None],
        test_labels=_labels(test),
        num_classes=10,
        mean=(0.1307,),
        std=(0.3081,),
    )


@DATASETS.register("cifar10")
def cifar10(*, root: Path, download: bool = False) -> Dataset:
    """CIFAR-10: 50,000 + 10,000 images of 32 x 32 in color, read from `root`/cifar-10-batches-py.

    Args:
        root: the data folder, in torchvision's layout.
        download: whether to fetch what is missing.

    Raises:
        DataError: the files are missing or damaged.
    """
    train, test = _torchvision("CIFAR10", "cifar10", root, download)
    return Dataset(
        train_images=np.ascontiguousarray(train.data.transpose(0, 3, 1, 2)),
        train_labels=_labels(train),
        test_images=np.ascontiguousarray(test.data.transpose(0, 3, 1, 2)),
        test_labels=_labels(test),
        num_classes=10,
        mean=(125.3 / 255, 123.0 / 255, 113.9 / 255),
        std=(63.0 / 255, 62.1 / 255, 66.7 / 255),
    )


def _torchvision(class_name: str, name: str, root: Path, download: bool) -> tuple[Any, Any]:
    import torchvision

    dataset = getattr(torchvision.datasets, class_name)
    try:
        return dataset(root, train=True, download=download), dataset(root, train=False, download=download)
    except (RuntimeError, OSError, ValueError, KeyError, EOFError) as error:
        raise DataError(f"{name} cannot be read from {root} ({error}); fetch it with: byzshield data prepare {name}") from error


def _labels(dataset: Any) -> NDArray[np.int64]:
    return np.asarray(dataset.targets, dtype=np.int64)
