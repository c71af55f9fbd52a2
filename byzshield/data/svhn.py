"""The street view house numbers, from their MATLAB files."""

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from byzshield.data.dataset import DATASETS, Dataset
from byzshield.data.image_cache import Images
from byzshield.data.mat import read_mat
from byzshield.data.published import check_md5, find, load_published
from byzshield.errors import DataError

__all__ = ["svhn"]

MD5: Final = {
    "train_32x32.mat": "e26dedcc434d2e4c54c9b2d4a06d8373",
    "test_32x32.mat": "eb5a983be6a315427106f1b164d9cef3",
}


@DATASETS.register("svhn")
def svhn(*, root: Path, download: bool = False) -> Dataset:
    """SVHN: 73,257 + 26,032 house numbers of 32 x 32 in color, read from train_32x32.mat and test_32x32.mat in `root`.

    Label 0 is digit 0, which the files call 10. Augmentation pads with zeros, as is published.

    Reference: Yuval Netzer et al., Reading digits in natural images with unsupervised feature learning, 2011.

    Args:
        root: the data folder, in torchvision's layout.
        download: whether to fetch what is missing.

    Raises:
        DataError: the files are missing or damaged.
    """

    def read() -> Images:
        paths = [find(filename, [root]) for filename in MD5]
        for path in paths:
            check_md5(path, MD5[path.name])
        (train_images, train_labels), (test_images, test_labels) = map(read_images, paths)
        return Images(train_images, train_labels, test_images, test_labels)

    images, location = load_published("svhn", root=root, download=download, md5=MD5, read=read)
    return Dataset(
        **images._asdict(),
        num_classes=10,
        mean=(0.4914, 0.4822, 0.4465),
        std=(0.2023, 0.1994, 0.2010),
        padding_mode="constant",
        location=location,
    )


def read_images(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """The images [n, 3, 32, 32] of X [32, 32, 3, n] and the labels [n] of y [n, 1].

    Raises:
        DataError: the file is no MATLAB file of such arrays.
    """
    try:
        arrays = read_mat(path.read_bytes())
    except DataError as error:
        raise DataError(f"{path} {error}") from error
    pixels, labels = arrays.get("X"), arrays.get("y")
    if pixels is None or labels is None or pixels.dtype != np.uint8 or pixels.shape[:3] != (32, 32, 3) or pixels.ndim != 4:
        raise DataError(f"{path} holds no images X of 32 x 32 x 3 x n bytes with labels y")
    if labels.size != pixels.shape[3]:
        raise DataError(f"{path} holds {labels.size} labels for {pixels.shape[3]} images")
    return np.ascontiguousarray(pixels.transpose(3, 2, 0, 1)), labels.ravel().astype(np.int64) % 10
