"""Downloads through torchvision, which is imported only when something must be fetched; it reads none of the files."""

import sys
import tarfile
from collections.abc import Sequence
from contextlib import redirect_stdout, suppress
from http.client import HTTPException
from pathlib import Path
from typing import Any

from byzshield.errors import DataError

__all__ = ["fetch"]

CLASSES = {"cifar10": "CIFAR10", "cifar100": "CIFAR100", "fashion_mnist": "FashionMNIST", "mnist": "MNIST", "svhn": "SVHN"}


def fetch(name: str, root: Path) -> None:
    """Fetches the files of a data set into torchvision's layout under `root`; archives that lie there already are unpacked again.

    Raises:
        DataError: something cannot be fetched, is not what was published, or cannot be written.
    """
    import torchvision

    published: Any = getattr(torchvision.datasets, CLASSES[name])
    try:
        with redirect_stdout(sys.stderr):  # older versions print what they unpack
            _fetch(published, root)
    except (OSError, RuntimeError, ValueError, EOFError, HTTPException, tarfile.TarError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(
            f"{name} cannot be fetched ({reason}); run this where the network reaches its server, or copy its files into {root}"
        ) from error


def _fetch(published: Any, root: Path) -> None:
    from torchvision.datasets.utils import download_and_extract_archive, download_url

    root.mkdir(parents=True, exist_ok=True)
    if hasattr(published, "resources"):  # MNIST and its like: gzipped files on several mirrors
        for filename, md5 in published.resources:
            _unpack_from_a_mirror(published.mirrors, filename, md5, root / published.__name__ / "raw")
    elif hasattr(published, "split_list"):  # SVHN: a file a split
        for split in ("train", "test"):
            url, filename, md5 = published.split_list[split]
            download_url(url, root, filename, md5)
    else:  # CIFAR: one archive
        download_and_extract_archive(published.url, root, filename=published.filename, md5=published.tgz_md5)


def _unpack_from_a_mirror(mirrors: Sequence[str], filename: str, md5: str, folder: Path) -> None:
    from torchvision.datasets.utils import download_and_extract_archive

    *others, last = mirrors
    for mirror in others:
        with suppress(OSError, RuntimeError):
            download_and_extract_archive(f"{mirror}{filename}", folder, filename=filename, md5=md5)
            return
    download_and_extract_archive(f"{last}{filename}", folder, filename=filename, md5=md5)
