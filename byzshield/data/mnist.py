"""MNIST and Fashion-MNIST, from their IDX files."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from byzshield.data.dataset import DATASETS, Dataset
from byzshield.data.idx import read_idx
from byzshield.data.image_cache import Images
from byzshield.data.published import find, load_published
from byzshield.errors import DataError

__all__ = ["fashion_mnist", "mnist"]

# Of the uncompressed files: those in Debian's package are compressed in another way than those on the web.
MNIST_MD5: Final = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}
FASHION_MNIST_MD5: Final = {
    "train-images-idx3-ubyte": "f4a8712d7a061bf5bd6d2ca38dc4d50a",
    "train-labels-idx1-ubyte": "9018921c3c673c538a1fc5bad174d6f9",
    "t10k-images-idx3-ubyte": "8181f5470baa50b63fa0f6fddb340f0a",
    "t10k-labels-idx1-ubyte": "15d484375f8d13e6eb1aabb0c3f46965",
}
DEBIAN: Final = Path("/usr/share/datasets/fashion-mnist")  # of the package dataset-fashion-mnist


@DATASETS.register("mnist")
def mnist(*, root: Path, download: bool = False) -> Dataset:
    """MNIST: 60,000 + 10,000 images of 28 x 28, from the IDX files under `root`/MNIST/raw or, as in older layouts, `root`/raw.

    Args:
        root: the data folder, in torchvision's layout.
        download: whether to fetch what is missing.

    Raises:
        DataError: the files are missing or damaged.
    """
    folders = [root / "MNIST" / "raw", root / "raw"]
    return _dataset("mnist", root, download, folders, MNIST_MD5, mean=(0.1307,), std=(0.3081,))


@DATASETS.register("fashion_mnist")
def fashion_mnist(*, root: Path, download: bool = False) -> Dataset:
    """Fashion-MNIST: 60,000 + 10,000 images of 28 x 28, from `root`/FashionMNIST/raw or Debian's package dataset-fashion-mnist.

    They are normalized by mean and standard deviation of all training pixels, as usual.

    Reference: Han Xiao, Kashif Rasul and Roland Vollgraf, Fashion-MNIST: a novel image dataset for benchmarking machine learning
    algorithms, arXiv 1708.07747; under the MIT license.

    Args:
        root: the data folder, in torchvision's layout.
        download: whether to fetch what is missing.

    Raises:
        DataError: the files are missing or damaged.
    """
    folders = [root / "FashionMNIST" / "raw", DEBIAN]
    return _dataset("fashion_mnist", root, download, folders, FASHION_MNIST_MD5, mean=(0.2860,), std=(0.3530,))


def _dataset(name: str, root: Path, download: bool, folders: list[Path], md5: Mapping[str, str], **normalization: Any) -> Dataset:
    def read() -> Images:
        return _read(folders, md5)

    images, location = load_published(name, root=root, download=download, md5=md5, read=read)
    return Dataset(**images._asdict(), num_classes=10, location=location, **normalization)


def _read(folders: list[Path], md5: Mapping[str, str]) -> Images:
    """The four files, whose order is that of `Images`."""
    arrays: list[Any] = []
    for filename, checksum in md5.items():
        path = find(filename, folders, suffixes=("", ".gz"))
        if "images" in filename:
            arrays.append(read_idx(path, inner_shape=(28, 28), md5=checksum)[:, None])
            continue
        arrays.append(read_idx(path, inner_shape=(), md5=checksum).astype(np.int64))
        if len(arrays[-1]) != len(arrays[-2]):
            raise DataError(f"{path} holds {len(arrays[-1])} labels for {len(arrays[-2])} images")
    return Images(*arrays)
