"""Files that are whole or absent, and the folder of what can be made again."""

import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from byzshield.errors import StorageError

__all__ = [
    "RecordFile",
    "atomic_write",
    "cache_directory",
    "json_lines",
    "named_errors",
    "parts_of",
    "read_json_lines",
    "unreadable_lines",
    "write_text",
]


@contextmanager
def atomic_write(path: Path) -> Iterator[BinaryIO]:
    """Opens a new file that takes the place of `path` once the block has ended; if the block raises, nothing changes.

    A device or a pipe is written to directly.

    Raises:
        StorageError: the folder is missing or cannot be written to, or the disk is full.
    """
    part = path.parent / f".{path.name}.{secrets.token_hex(4)}.part"
    with named_errors(path):
        if path.exists() and not path.is_file():  # a device or a pipe, such as /dev/null, whose place a file must not take
            with open(path, "wb") as file:
                yield file
            return
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


def parts_of(path: Path) -> Iterator[Path]:
    """What writers of `path` that were killed have left; its name may be a pattern, as "step_*.pt"."""
    return path.parent.glob(f".{path.name}.{'[0-9a-f]' * 8}.part")


def write_text(path: Path, text: str) -> None:
    """Writes a whole file in UTF-8, as `atomic_write` does; names of files that are not UTF-8 stay as they are."""
    with atomic_write(path) as file:
        file.write(text.encode(errors="surrogateescape"))


class RecordFile:
    """A file that grows by records, each of which is in it wholly or not at all.

    Args:
        path: the file; it is replaced.
        content: the records to begin with.

    Raises:
        StorageError: it cannot be written; what was there still is.
    """

    def __init__(self, path: Path, content: bytes = b"") -> None:
        with atomic_write(path) as file:
            file.write(content)
        self._path = path
        with named_errors(path):
            self._file = open(path, "ab", buffering=0)  # noqa: SIM115 - open until `close`

    def append(self, record: bytes) -> None:
        """Appends a record.

        Raises:
            StorageError: it cannot be written; the file ends with the record before.
        """
        whole = os.fstat(self._file.fileno()).st_size
        rest = memoryview(record)
        with named_errors(self._path):
            try:
                while rest:
                    rest = rest[self._file.write(rest) :]
            except BaseException:
                self._file.truncate(whole)
                raise

    def sync(self) -> None:
        """Waits until all records are on disk.

        Raises:
            StorageError: the disk has failed.
        """
        with named_errors(self._path):
            os.fsync(self._file.fileno())

    def close(self) -> None:
        """Closes the file.

        Raises:
            StorageError: the disk has failed, which NFS may say only now.
        """
        with named_errors(self._path):
            self._file.close()


def read_json_lines(path: Path) -> list[dict[str, Any]]:
    """The objects of a file that has one a line; what a crash has cut short or damage made unreadable is left out.

    A missing file has none.
    """
    return json_lines(path.read_bytes()) if path.exists() else []


def json_lines(content: bytes) -> list[dict[str, Any]]:
    """The objects of lines, but for those that cannot be read."""
    objects: list[dict[str, Any]] = []
    for text in content.splitlines():
        with suppress(ValueError, RecursionError):
            value = json.loads(text)
            if isinstance(value, dict):
                objects.append(value)
    return objects


def unreadable_lines(path: Path) -> list[int]:
    """The numbers, from 1, of lines without an object, which no crash leaves: what is cut short has no end of line."""
    content = path.read_bytes() if path.exists() else b""
    whole = content[: content.rfind(b"\n") + 1].splitlines()
    return [number for number, text in enumerate(whole, start=1) if not json_lines(text)]


@contextmanager
def named_errors(path: Path) -> Iterator[None]:
    """Names `path` in errors of the operating system: that of a write to a full disk says nothing of a file.

    Raises:
        StorageError: in place of any other `OSError`.
    """
    try:
        yield
    except StorageError:
        raise
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror or error}") from error


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
