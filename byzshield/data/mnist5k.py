"""5,000 real MNIST images that need no download: they ship with this package."""

import hashlib
import io
from importlib import resources
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from byzshield.data.dataset import DATASETS, Dataset
from byzshield.errors import DataError
from byzshield.seeding import generator

__all__ = ["mnist5k"]

FILE: Final = resources.files("byzshield.data") / "mnist5k.npz"
SHA256: Final = "1d2d4616d9d8b580b658b804ba1de60a9cb892df8f1576f7ead9bfb8c3b149b9"
TEST_PER_CLASS: Final = 100  # of 500


@DATASETS.register("mnist5k")
def mnist5k(*, root: Path, download: bool = False) -> Dataset:
    """500 MNIST images a class: 4,000 to train and 1,000 to test, split once and for all, equally by class.

    Reference: Yann LeCun, Corinna Cortes and Christopher J.C. Burges, The MNIST database of handwritten digits,
    http://yann.lecun.com/exdb/mnist/; under CC BY-SA 3.0. mnist5k.txt, beside the file of the images, says which they are.

    Args:
        root: unused; the images are in this package.
        download: unused as well.

    Raises:
        DataError: the file of the images is missing or damaged.
    """
    images, labels = _read()
    test = _test_rows(labels)
    return Dataset(
        train_images=images[~test],
        train_labels=labels[~test],
        test_images=images[test],
        test_labels=labels[test],
        num_classes=10,
        mean=(0.1307,),
        std=(0.3081,),
        location="which come with byzshield",
    )


def _read() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    try:
        content = FILE.read_bytes()
    except OSError as error:
        raise DataError(f"{FILE} cannot be read ({error}); install byzshield again") from error
    if hashlib.sha256(content).hexdigest() != SHA256:
        raise DataError(f"{FILE} is damaged: its SHA-256 is not the known one; install byzshield again")
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        return arrays["images"], arrays["labels"].astype(np.int64)


def _test_rows(labels: NDArray[np.int64]) -> NDArray[np.bool_]:
    test = np.zeros(len(labels), dtype=bool)
    for label in range(10):
        rows = np.flatnonzero(labels == label)
        test[generator(0, "mnist5k split", label).permutation(rows)[:TEST_PER_CLASS]] = True
    return test
