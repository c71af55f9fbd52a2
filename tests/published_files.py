"""Small files in the genuine formats of MNIST, CIFAR and SVHN, whose checksums take the place of the published ones."""

import hashlib
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from byzshield.data import cifar, svhn

__all__ = ["idx", "mat", "python2_batch", "write_cifar10", "write_cifar100", "write_mnist", "write_svhn"]


def idx(values: NDArray[np.uint8]) -> bytes:
    """An IDX file: magic (0, 0, 8 = unsigned byte, dimensions), big-endian sizes, bytes."""
    header = struct.pack(">BBBB", 0, 0, 8, values.ndim) + struct.pack(f">{values.ndim}I", *values.shape)
    return header + values.tobytes()


def python2_batch(images: NDArray[np.uint8], labels: list[int], key: str) -> bytes:
    """A batch of CIFAR as Python 2 and numpy 1 pickle {"data": images [n, 3072], key: labels} in protocol 2, without the memo."""

    def text(value: str) -> bytes:
        return b"U" + bytes([len(value)]) + value.encode()

    def number(value: int) -> bytes:
        return b"K" + bytes([value]) if value < 256 else b"M" + struct.pack("<H", value)

    byte = (
        b"cnumpy\ndtype\n" + text("u1") + b"K\x00K\x01\x87R(K\x03" + text("|") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    )
    empty = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85" + text("b") + b"\x87R"
    content = images.tobytes()
    shape = number(len(images)) + number(3072) + b"\x86"
    array = empty + b"(K\x01" + shape + byte + b"\x89T" + struct.pack("<I", len(content)) + content + b"tb"
    return b"\x80\x02}(" + text("data") + array + text(key) + b"](" + b"".join(map(number, labels)) + b"eu."


def mat(arrays: dict[str, NDArray[np.uint8]], *, compressed: bool = True) -> bytes:
    """A MATLAB file of level 5; small integers are stored as bytes, whatever their class, as MATLAB does."""

    def element(kind: int, data: bytes) -> bytes:
        return struct.pack("<II", kind, len(data)) + data + bytes(-len(data) % 8)

    content = b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM"
    for name, array in arrays.items():
        short_name = struct.pack("<HH4s", 1, len(name), name.encode())
        parts = element(6, struct.pack("<II", 6, 0)) + element(5, struct.pack(f"<{array.ndim}i", *array.shape))
        whole = element(14, parts + short_name + element(2, array.tobytes(order="F")))
        packed = zlib.compress(whole)
        content += struct.pack("<II", 15, len(packed)) + packed if compressed else whole
    return content


def write_mnist(folder: Path, md5: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """60 images to train and 20 to test."""
    rng = np.random.default_rng(0)
    for filename in md5:
        count = 60 if filename.startswith("train") else 20
        labels = (np.arange(count) % 10).astype(np.uint8)
        images = rng.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        _write(folder / filename, idx(images if "images" in filename else labels), md5, monkeypatch)


def write_cifar10(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Six batches of 10 images."""
    _write_batches(root / "cifar-10-batches-py", cifar.CIFAR10_MD5, "labels", 10, monkeypatch)


def write_cifar100(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two batches of 100 images."""
    _write_batches(root / "cifar-100-python", cifar.CIFAR100_MD5, "fine_labels", 100, monkeypatch)


def write_svhn(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two files of 20 images."""
    rng = np.random.default_rng(0)
    labels = (1 + np.arange(20) % 10).astype(np.uint8)[:, None]
    for filename in svhn.MD5:
        images = rng.integers(0, 256, (32, 32, 3, 20), dtype=np.uint8)
        _write(root / filename, mat({"X": images, "y": labels}), svhn.MD5, monkeypatch)


def _write_batches(folder: Path, md5: dict[str, str], key: str, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    for filename in md5:
        images = rng.integers(0, 256, (count, 3072), dtype=np.uint8)
        _write(folder / filename, python2_batch(images, list(range(count)), key), md5, monkeypatch)


def _write(path: Path, content: bytes, md5: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    monkeypatch.setitem(md5, path.name, hashlib.md5(content).hexdigest())
