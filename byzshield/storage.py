"""Files that are whole or absent, and the folder of what can be made again."""

import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

__all__ = ["atomic_write", "cache_directory", "read_json_lines", "write_text"]


@contextmanager
def atomic_write(path: Path) -> Iterator[BinaryIO]:
    """Opens a new file that takes the place of `path` once the block has ended; if the block raises, nothing changes.

    Raises:
        OSError: the folder is missing or cannot be written to, or the disk is full.
    """
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with open(part, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except BaseException:
        with suppress(OSError):
            part.unlink()
        raise
    _sync_directory(path.parent)


def write_text(path: Path, text: str) -> None:
    """Writes a whole file in UTF-8, as `atomic_write` does."""
    with atomic_write(path) as file:
        file.write(text.encode())


def read_json_lines(path: Path) -> list[dict[str, Any]]:
    """The objects of a file that has one a line; what a crash cut short is left out, a missing file has none."""
    if not path.exists():
        return []
    objects: list[dict[str, Any]] = []
    for text in path.read_text(encoding="utf-8").splitlines():
        try:
            objects.append(json.loads(text))
        except ValueError:
            break
    return objects


def cache_directory() -> Path:
    """$XDG_CACHE_HOME/byzshield, or ~/.cache/byzshield: data sets, and worst cases that have been proved."""
    home = os.environ.get("XDG_CACHE_HOME", "")
    # The XDG specification tells programs to ignore a relative path.
    return (Path(home) if os.path.isabs(home) else Path("~/.cache").expanduser()) / "byzshield"


def _sync_directory(path: Path) -> None:
    """Makes a rename survive a loss of power, where the file system can do so for folders."""
    with suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
