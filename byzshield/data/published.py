"""Data sets whose files are published with checksums: found, checked, fetched when asked for, and mapped."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from byzshield.data.image_cache import Images, map_images
from byzshield.data.vision import fetch
from byzshield.errors import DataError
from byzshield.storage import cache_directory

__all__ = ["check_md5", "find", "load_published"]


def load_published(
    name: str, *, root: Path, download: bool, md5: Mapping[str, str], read: Callable[[], Images]
) -> tuple[Images, str]:
    """The images of a published data set, and where they are, for a sentence.

    Args:
        name: the data set.
        root: the data folder; beside the files it gets a folder `arrays`, or else the user's cache does.
        download: whether to fetch the files if they are missing or damaged.
        md5: the checksums of the files by name.
        read: reads the files under `root` and checks them.

    Raises:
        DataError: the files are missing or damaged, or cannot be fetched.
    """
    folders = [folder / "arrays" for folder in dict.fromkeys((root, cache_directory()))]
    try:
        images, place = map_images(name, folders=folders, sources=md5, read=read)
    except DataError as error:
        if not download:
            where = "" if root == cache_directory() else f" --root {root}"
            raise DataError(f"{error}; mend it with: byzshield data prepare {name}{where}") from error
        try:
            fetch(name, root)
        except DataError as failure:
            raise DataError(f"{error}; {failure}") from failure
        images, place = map_images(name, folders=folders, sources=md5, read=read)
    return images, f"mapped from {place}" if place else f"read from the files in {root} by each process"


def find(filename: str, folders: Sequence[Path], *, suffixes: Sequence[str] = ("",)) -> Path:
    """The first of `folders` that has the file, with one of the suffixes.

    Raises:
        DataError: none has it.
    """
    for folder in folders:
        for suffix in suffixes:
            path = folder / f"{filename}{suffix}"
            if path.is_file():
                return path
    raise DataError(f"{folders[0] / filename} is missing")


def check_md5(path: Path, md5: str) -> None:
    """Reads a file once through, without holding it.

    Raises:
        DataError: it cannot be read, or is not the published one.
    """
    try:
        with open(path, "rb") as file:
            actual = hashlib.file_digest(file, "md5").hexdigest()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
    if actual != md5:
        raise DataError(f"{path} is not the published file: its MD5 is {actual} instead of {md5}")
