"""CIFAR-10 and CIFAR-100, from their Python batches, which are pickles: read, but not run.

A pickle is a program. `pickletools` lists its instructions and executes none, so no object is made, whatever the file says; and
the file is checked against its published MD5 before that. (The binary batches hold the same without a pickle, but torchvision
fetches the Python ones, and that is what lies on most machines.)
"""

import pickletools
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal, cast

import numpy as np
from numpy.typing import NDArray

from byzshield.data.dataset import DATASETS, Dataset
from byzshield.data.image_cache import Images
from byzshield.data.published import check_md5, find, load_published
from byzshield.errors import DataError

__all__ = ["cifar10", "cifar100", "read_batch"]

SHAPE: Final = (3, 32, 32)
PIXELS: Final = 3072
# Instructions of protocol 2, as pickletools names them.
INTEGERS: Final = {"BININT", "BININT1", "BININT2"}
TEXTS: Final = {"BINSTRING", "SHORT_BINSTRING"}
ORDERS: Final[dict[str, Literal["C", "F"]]] = {"NEWFALSE": "C", "NEWTRUE": "F"}
CIFAR10_MD5: Final = {
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    "test_batch": "40351d587109b95175f43aff81a1287e",
}
CIFAR100_MD5: Final = {"train": "16019d7e3df5f24257cddd939b257f8d", "test": "f0ef6b0ae62326f3e7ffdfab6717acfc"}
NORMALIZATION: Final[dict[str, Any]] = {
    "mean": (125.3 / 255, 123.0 / 255, 113.9 / 255),
    "std": (63.0 / 255, 62.1 / 255, 66.7 / 255),
}


@DATASETS.register("cifar10")
def cifar10(*, root: Path, download: bool = False) -> Dataset:
    """CIFAR-10: 50,000 + 10,000 images of 32 x 32 in color, read from `root`/cifar-10-batches-py.

    Reference: Alex Krizhevsky, Learning multiple layers of features from tiny images, 2009.

    Args:
        root: the data folder, in torchvision's layout.
        download: whether to fetch what is missing.

    Raises:
        DataError: the files are missing or damaged.
    """
    return _dataset("cifar10", root, download, root / "cifar-10-batches-py", CIFAR10_MD5, "labels", 10)


@DATASETS.register("cifar100")
def cifar100(*, root: Path, download: bool = False) -> Dataset:
    """CIFAR-100: 50,000 + 10,000 images of 32 x 32 in color with their fine labels, read from `root`/cifar-100-python.

    Reference: Alex Krizhevsky, Learning multiple layers of features from tiny images, 2009.

    Args:
        root: the data folder, in torchvision's layout.
        download: whether to fetch what is missing.

    Raises:
        DataError: the files are missing or damaged.
    """
    return _dataset("cifar100", root, download, root / "cifar-100-python", CIFAR100_MD5, "fine_labels", 100)


def read_batch(path: Path, key: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """The images [n, 3, 32, 32] of a batch and the labels [n] that are stored under `key`.

    The pickle holds a dictionary from Python 2. `key` is followed by a list of integers. The pixels are the string right after
    the flag that says whether numpy stored the array [n, 3072] by columns.

    Raises:
        DataError: the file is no such batch.
    """
    labels: list[int] = []
    pixels = np.empty((0, PIXELS), np.uint8)
    text = before = ""
    try:
        for instruction, argument, _ in pickletools.genops(path.read_bytes()):
            if instruction.name in INTEGERS and text == key:
                labels.append(cast(int, argument))
            elif instruction.name in TEXTS:
                text = cast(str, argument)
                if before in ORDERS:
                    content = np.frombuffer(text.encode("latin1"), np.uint8)
                    pixels = content.reshape((len(content) // PIXELS, PIXELS), order=ORDERS[before])
            before = instruction.name
    except ValueError as error:
        raise DataError(f"{path} is no batch of CIFAR images: {error}") from error
    if not labels or len(labels) != len(pixels):
        raise DataError(f"{path} holds {len(labels)} labels ({key}) for {len(pixels)} images")
    return pixels.reshape(-1, *SHAPE), np.array(labels, dtype=np.int64)


def _dataset(name: str, root: Path, download: bool, folder: Path, md5: Mapping[str, str], key: str, num_classes: int) -> Dataset:
    def read() -> Images:
        paths = [find(filename, [folder]) for filename in md5]
        for path in paths:
            check_md5(path, md5[path.name])
        *train, (test_images, test_labels) = [read_batch(path, key) for path in paths]
        train_images, train_labels = (np.concatenate(parts) for parts in zip(*train, strict=True))
        return Images(train_images, train_labels, test_images, test_labels)

    images, location = load_published(name, root=root, download=download, md5=md5, read=read)
    return Dataset(**images._asdict(), num_classes=num_classes, location=location, **NORMALIZATION)
