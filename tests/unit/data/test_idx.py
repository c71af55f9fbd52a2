"""IDX files: whatever is wrong with one is said in a line that names it."""

import gzip
import hashlib
import re
from pathlib import Path

import numpy as np
import pytest
from published_files import idx

from byzshield.data.idx import read_idx
from byzshield.errors import DataError

IMAGES = np.random.default_rng(0).integers(0, 256, (5, 28, 28), dtype=np.uint8)
CONTENT = idx(IMAGES)
MD5 = hashlib.md5(CONTENT).hexdigest()
ZIPPED = gzip.compress(CONTENT, mtime=0)
LABELS = idx(np.arange(5, dtype=np.uint8))


@pytest.mark.parametrize("name", ["images", "images.gz"])
@pytest.mark.parametrize("content", [CONTENT, ZIPPED], ids=["plain", "gzipped"])
def test_plain_and_gzipped_files_hold_the_same_under_any_name(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    images = read_idx(tmp_path / name, inner_shape=(28, 28), md5=MD5)
    assert images.dtype == np.uint8
    assert images.shape == IMAGES.shape
    assert images.tobytes() == IMAGES.tobytes()


def huge(count: int) -> bytes:
    return CONTENT[:4] + count.to_bytes(4, "big") + CONTENT[8:]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "begins with nothing"),
        (CONTENT[:3], "begins with 000008"),
        (CONTENT[:10], "begins with 00000803"),
        (b"<html>" + CONTENT, "begins with 3c68746d"),
        (b"\0\0\x0d\x03" + CONTENT[4:], "begins with 00000d03"),  # floats
        (LABELS, "no IDX file of bytes in 3 dimensions: it begins with 00000801"),
        (idx(np.zeros((5, 32, 32), np.uint8)), "holds 5 x 32 x 32 bytes instead of n x 28 x 28"),
        (huge(2**32 - 1), "claims to hold 4294967295 x 28 x 28 bytes, more than the allowed 256 MiB"),
        (huge(6), "should hold 6 x 28 x 28 = 4704 bytes and holds 3920"),
        (CONTENT[:-1], "should hold 5 x 28 x 28 = 3920 bytes and holds 3919"),
        (CONTENT + b"\0", "should hold 5 x 28 x 28 = 3920 bytes and holds more"),
        (gzip.compress(CONTENT + bytes(2**20)), "holds more"),
        (gzip.compress(CONTENT[:-1]), "holds 3919"),
        (CONTENT[:-1] + bytes([CONTENT[-1] ^ 1]), f"is not the published file: the MD5 of its content is .* instead of {MD5}"),
        (ZIPPED[:-20], "cannot be read: Compressed file ended"),
        (ZIPPED[:500] + bytes(50) + ZIPPED[550:], "cannot be read|not the published file"),
        (ZIPPED[:10] + b"\xff" * 50, "cannot be read: Error -3 while decompressing"),
        (ZIPPED[:-8] + bytes(4) + ZIPPED[-4:], "cannot be read: CRC check failed"),
        (b"\x1f\x8b" + CONTENT, "cannot be read: Unknown compression method"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_in_one_line(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "images"
    path.write_bytes(content)
    with pytest.raises(DataError, match=f"^{re.escape(str(path))} .*({message})") as caught:
        read_idx(path, inner_shape=(28, 28), md5=MD5)
    assert "\n" not in str(caught.value)


def test_a_folder_in_the_place_of_a_file_is_an_error_as_well(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot be read: .*Is a directory"):
        read_idx(tmp_path, inner_shape=(28, 28), md5=MD5)
