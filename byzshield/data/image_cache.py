"""Images as uncompressed arrays on disk: the first process of a host makes them, and all of them map one copy."""

import fcntl
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from blake3 import blake3
from numpy.typing import NDArray

from byzshield.log import get_logger
from byzshield.storage import atomic_write, write_text

__all__ = ["Images", "map_images"]

FORMAT: Final = 1
LOG = get_logger(__name__)


class Images(NamedTuple):
    """Images as uint8 [n, channels, height, width] and labels as int64 [n], to train and to test."""

    train_images: NDArray[np.uint8]
    train_labels: NDArray[np.int64]
    test_images: NDArray[np.uint8]
    test_labels: NDArray[np.int64]


def map_images(
    name: str, *, folders: Sequence[Path], sources: Mapping[str, str], read: Callable[[], Images]
) -> tuple[Images, Path | None]:
    """The images of a data set as read-only maps of files, which are made by `read` where they are not there yet or damaged.

    Each start checks the files against their digests. Several processes may start at once: one reads while the others wait, and
    where a file system has no locks, they write the same files, each of them whole.

    Args:
        name: the data set, whose name the folder of the arrays has.
        folders: where that folder may be, the best place first.
        sources: the checksums of the files that `read` reads; arrays made of others are made again.
        read: reads the images into memory.

    Returns:
        the images and the folder of their arrays; None if no folder can be written to, and the images are in memory.
    """
    places = [folder / name for folder in folders]
    for place in places:
        if (images := _open(place, sources)) is not None:
            return images, place
    images = None
    for place in places:
        try:
            place.mkdir(parents=True, exist_ok=True)
            with _locked(place / "lock"):
                if (mapped := _open(place, sources)) is None:
                    images = images or read()
                    _store(place, sources, images)
                    mapped = _open(place, sources)
            if mapped is not None:
                return mapped, place
        except OSError as error:
            LOG.info("the images of %s are not kept in %s: %s", name, place, error)
    LOG.warning(
        "each process holds its own copy of the images of %s, because none of %s can be written to", name, [*map(str, places)]
    )
    return images or read(), None


def _open(place: Path, sources: Mapping[str, str]) -> Images | None:
    """The stored arrays, or None. What is missing, damaged or made of other files is not used."""
    try:
        index = json.loads((place / "index.json").read_text(encoding="utf-8"))
        if index["format"] != FORMAT or index["sources"] != dict(sources):
            return None
        paths = [place / f"{field}.npy" for field in Images._fields]
        if index["blake3"] != [_digest(path) for path in paths]:
            return None
        return Images(*(np.lib.format.open_memmap(path, mode="r").view(np.ndarray) for path in paths))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _store(place: Path, sources: Mapping[str, str], images: Images) -> None:
    """Writes the arrays, and last of all the index, without which they do not count."""
    paths = [place / f"{field}.npy" for field in Images._fields]
    for path, field in zip(paths, Images._fields, strict=True):
        with atomic_write(path) as file:
            np.save(file, getattr(images, field), allow_pickle=False)
    index = {"format": FORMAT, "sources": dict(sources), "blake3": [_digest(path) for path in paths]}
    write_text(place / "index.json", json.dumps(index))


def _digest(path: Path) -> str:
    return blake3().update_mmap(path).hexdigest()


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Lets one process of a host at a time in; a file system without locks lets all in."""
    with open(path, "ab") as file:
        with suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
