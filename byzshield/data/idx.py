"""The IDX format of MNIST and Fashion-MNIST, plain or gzipped: a magic number, big-endian sizes, bytes."""

import gzip
import hashlib
import struct
import zlib
from math import prod
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from byzshield.errors import DataError

__all__ = ["read_idx"]

MOST_BYTES: Final = 1 << 28  # the largest published file has 47 MB
GZIP: Final = b"\x1f\x8b"
UNSIGNED_BYTE: Final = 8


def read_idx(path: Path, *, inner_shape: tuple[int, ...], md5: str) -> NDArray[np.uint8]:
    """Reads unsigned bytes of shape [n, *inner_shape]; whether a file is gzipped is seen from its content, not from its name.

    Reference: Yann LeCun, Corinna Cortes and Christopher J.C. Burges, The MNIST database of handwritten digits, "File formats",
    http://yann.lecun.com/exdb/mnist/.

    Args:
        path: the file.
        inner_shape: (height, width) of images, () of labels.
        md5: of the file's content, uncompressed.

    Raises:
        DataError: the file cannot be read, is no such IDX file, is too short or too long, or has another checksum.
    """
    try:
        with open(path, "rb") as file:
            gzipped = file.read(2) == GZIP
        with gzip.open(path) if gzipped else open(path, "rb") as stream:
            dimensions = 1 + len(inner_shape)
            header = stream.read(4 + 4 * dimensions)
            if header[:4] != bytes((0, 0, UNSIGNED_BYTE, dimensions)) or len(header) < 4 + 4 * dimensions:
                raise DataError(
                    f"{path} is no IDX file of bytes in {dimensions} dimensions: it begins with {header[:4].hex() or 'nothing'}"
                )
            shape = struct.unpack(f">{dimensions}I", header[4:])
            if shape[1:] != inner_shape:
                raise DataError(f"{path} holds {_words(shape)} bytes instead of {_words(('n', *inner_shape))}")
            if prod(shape) > MOST_BYTES:
                raise DataError(f"{path} claims to hold {_words(shape)} bytes, more than the allowed {MOST_BYTES >> 20} MiB")
            content = stream.read(prod(shape) + 1)  # one more, to see whether the file goes on
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    if len(content) != prod(shape):
        length = "more" if len(content) > prod(shape) else len(content)
        raise DataError(f"{path} should hold {_words(shape)} = {prod(shape)} bytes and holds {length}")
    actual = hashlib.md5(header + content, usedforsecurity=False).hexdigest()
    if actual != md5:
        raise DataError(f"{path} is not the published file: the MD5 of its content is {actual} instead of {md5}")
    return np.frombuffer(content, dtype=np.uint8).reshape(shape)


def _words(shape: tuple[int | str, ...]) -> str:
    return " x ".join(map(str, shape))
