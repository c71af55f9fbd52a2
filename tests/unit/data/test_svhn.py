"""SVHN and MATLAB's files."""

import hashlib
import re
import struct
import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from published_files import mat, write_svhn

from byzshield.data import load, svhn
from byzshield.data.mat import read_mat
from byzshield.data.svhn import read_images
from byzshield.errors import DataError

SCIPY = Path(__file__).parent / "scipy_32x32.mat"
SMALL = {"X": np.arange(24, dtype=np.uint8).reshape(2, 3, 4), "y": np.array([[5], [6]], dtype=np.uint8)}


def test_a_file_that_scipy_wrote_is_read() -> None:
    """Four images, by scipy.io.savemat(do_compression=True); each pixel is 16 n + 4 channel + 2 (right half) + (lower half)."""
    images, labels = read_images(SCIPY)
    n, channel, row, column = np.indices((4, 3, 32, 32))
    assert (images == 16 * n + 4 * channel + 2 * (column // 16) + row // 16).all()
    assert labels.tolist() == [1, 0, 9, 0]
    assert (images.dtype, labels.dtype) == (np.uint8, np.int64)


@pytest.mark.parametrize("compressed", [True, False])
def test_arrays_are_read_by_name(compressed: bool) -> None:
    arrays = read_mat(mat(SMALL, compressed=compressed))
    assert {name: array.tolist() for name, array in arrays.items()} == {name: array.tolist() for name, array in SMALL.items()}


def test_the_checksums_are_those_that_torchvision_publishes() -> None:
    from torchvision.datasets import SVHN

    assert {filename: md5 for _, filename, md5 in (SVHN.split_list["train"], SVHN.split_list["test"])} == svhn.MD5


def patched(old: bytes, new: bytes) -> bytes:
    """A file of one array that is not compressed, with something else in it."""
    content = mat({"X": SMALL["X"]}, compressed=False)
    assert content.count(old) == 1
    return content.replace(old, new)


SIZES = struct.pack("<3i", 2, 3, 4)
MATRIX_WITHOUT_FLAGS = (
    struct.pack("<II", 6, 0) + struct.pack("<IIii", 5, 8, 1, 1) + struct.pack("<HH4sHH4s", 1, 1, b"X", 2, 1, b"a")
)
FLAGS = struct.pack("<IIII", 6, 8, 6, 0)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no little-endian MATLAB file"),
        (mat(SMALL)[:127], "no little-endian MATLAB file"),
        (b"\x89HDF".ljust(500), "no little-endian MATLAB file"),  # MATLAB 7.3
        (patched(b"\x00\x01IM", b"\x01\x00MI"), "no little-endian MATLAB file"),
        (mat(SMALL, compressed=False)[:-3], "ends within an element of"),
        (mat(SMALL)[:134], "ends within an element"),
        (mat({}) + struct.pack("<II", 7, 8) + bytes(8), "has an element of type 7 where an array should be"),
        (mat({}) + struct.pack("<II", 15, 4) + b"abcd", "has a damaged element"),
        (mat({}) + struct.pack("<II", 15, 2**32 - 1), "ends within an element of 4294967295 bytes"),
        (mat({}) + struct.pack("<HHI", 5, 8, 0), "has a short element of 8 bytes"),
        (patched(SIZES, struct.pack("<3i", 2, 3, 5)), r"has an array of shape \[2, 3, 5\] with 24 bytes"),
        (patched(SIZES, struct.pack("<3i", -2, -3, 4)), r"has an array of shape \[-2, -3, 4\] with 24 bytes"),
        (patched(SIZES, struct.pack("<3i", 2**31 - 1, 2**31 - 1, 2**31 - 1)), "has an array of shape"),
        (patched(FLAGS, struct.pack("<IIII", 6, 8, 6 | 0x0800, 0)), "has an array that is not of plain numbers"),  # complex
        (patched(FLAGS, struct.pack("<IIII", 6, 8, 1, 0)), "has an array that is not of plain numbers"),  # cells
        (mat({}) + struct.pack("<II", 14, 0), "has an array that is not of plain numbers"),
        (patched(FLAGS, struct.pack("<IIII", 6, 0, 6, 0)), "has an array that is not of plain numbers"),
        (
            mat({}) + struct.pack("<II", 14, len(MATRIX_WITHOUT_FLAGS)) + MATRIX_WITHOUT_FLAGS,
            "has an array that is not of plain numbers",
        ),
        (patched(struct.pack("<II", 2, 24), struct.pack("<II", 8, 24)), "has an array that is not of plain numbers"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_mat(content)


def test_an_element_that_unpacks_without_end_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("byzshield.data.mat.MOST_BYTES", 1 << 20)
    packed = zlib.compress(bytes(2 << 20))
    with pytest.raises(DataError, match="cut off or longer than 1 MiB"):
        read_mat(mat({}) + struct.pack("<II", 15, len(packed)) + packed)
    with pytest.raises(DataError, match="cut off or longer than"):
        read_mat(mat({}) + struct.pack("<II", 15, len(packed) - 9) + packed[:-9])


@pytest.mark.parametrize("compressed", [True, False])
def test_no_damage_ends_in_anything_but_a_data_error(compressed: bool) -> None:
    content = mat(SMALL, compressed=compressed)
    for place in range(124, len(content)):
        for damaged in (content[:place], content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :]):
            with suppress(DataError):
                read_mat(damaged)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"y": SMALL["y"]}, "holds no images X"),
        ({"X": np.zeros((32, 32, 3, 2), np.uint8)}, "holds no images X"),
        (SMALL, "holds no images X of 32 x 32 x 3 x n bytes with labels y"),
        ({"X": np.zeros((32, 32, 3, 3), np.uint8), "y": SMALL["y"]}, "holds 2 labels for 3 images"),
    ],
)
def test_other_arrays_are_refused(arrays: dict[str, np.ndarray], message: str, tmp_path: Path) -> None:
    path = tmp_path / "train_32x32.mat"
    path.write_bytes(mat(arrays))
    with pytest.raises(DataError, match=f"^{re.escape(str(path))} {message}"):
        read_images(path)


def test_a_file_with_another_checksum_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_svhn(tmp_path, monkeypatch)
    (tmp_path / "test_32x32.mat").write_bytes((tmp_path / "train_32x32.mat").read_bytes())
    md5 = hashlib.md5((tmp_path / "train_32x32.mat").read_bytes()).hexdigest()
    with pytest.raises(DataError, match=f"test_32x32.mat is not the published file: its MD5 is {md5} instead of.*prepare svhn"):
        load("svhn", root=tmp_path)
