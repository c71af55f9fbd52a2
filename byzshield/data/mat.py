"""MATLAB's files of level 5, as far as SVHN uses them: numeric arrays, little-endian, plain or deflated.

Reading them here takes a page, and no dependency on scipy.
"""

import struct
import zlib
from collections.abc import Iterator
from math import prod
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from byzshield.errors import DataError

__all__ = ["read_mat"]

MOST_BYTES: Final = 1 << 29  # of one array; the largest published one has 225 MB
HEADER: Final = 128
ENDING: Final = b"\x00\x01IM"  # of the header: version 1, little-endian
MATRIX, COMPRESSED = 14, 15
STORED: Final = {1: "<i1", 2: "<u1", 3: "<i2", 4: "<u2", 5: "<i4", 6: "<u4", 7: "<f4", 9: "<f8", 12: "<i8", 13: "<u8"}
NUMERIC_CLASSES: Final = range(6, 16)  # mxDOUBLE to mxUINT64
COMPLEX: Final = 0x0800


def read_mat(content: bytes) -> dict[str, NDArray[Any]]:
    """The arrays of a file by name, in the types in which they are stored.

    Reference: The MathWorks, MAT-File Format, chapter 1, "Level 5 MAT-File Format".

    Raises:
        DataError: the content is no such file; the message goes after the file's name.
    """
    if content[HEADER - 4 : HEADER] != ENDING:
        raise DataError("is no little-endian MATLAB file of level 5")
    arrays = {}
    for kind, data in _elements(memoryview(content)[HEADER:], padded=False):
        if kind == COMPRESSED:
            ((kind, data),) = _elements(memoryview(_inflate(data)))
        if kind != MATRIX:
            raise DataError(f"has an element of type {kind} where an array should be")
        name, array = _matrix(data)
        arrays[name] = array
    return arrays


def _elements(data: memoryview, *, padded: bool = True) -> Iterator[tuple[int, memoryview]]:
    """Pairs of type and bytes; each element is filled up to 8 bytes, but not one that is compressed."""
    while data:
        if len(data) < 8:
            raise DataError("ends within an element")
        kind, size = struct.unpack("<II", data[:8])
        if kind >> 16:  # a short element: size, type and at most four bytes in eight
            kind, size, start, end = kind & 0xFFFF, kind >> 16, 4, 8
            if size > 4:
                raise DataError(f"has a short element of {size} bytes")
        else:
            start, end = 8, 8 + (-(-size // 8) * 8 if padded else size)
        if start + size > len(data):
            raise DataError(f"ends within an element of {size} bytes")
        yield kind, data[start : start + size]
        data = data[end:]


def _inflate(data: memoryview) -> bytes:
    stream = zlib.decompressobj()
    try:
        content = stream.decompress(data, MOST_BYTES)
    except zlib.error as error:
        raise DataError(f"has a damaged element: {error}") from error
    if not stream.eof:
        raise DataError(f"has an element that is cut off or longer than {MOST_BYTES >> 20} MiB")
    return content


def _matrix(data: memoryview) -> tuple[str, NDArray[Any]]:
    parts = list(_elements(data))
    if len(parts) != 4 or len(parts[0][1]) != 8:  # flags, sizes, name, numbers; complex, sparse and structured arrays have others
        raise DataError("has an array that is not of plain numbers")
    (_, flags), (_, sizes), (_, name), (kind, numbers) = parts
    (bits,) = struct.unpack("<I", flags[:4])
    shape = tuple(np.frombuffer(sizes, "<i4").tolist()) if len(sizes) % 4 == 0 else ()
    if bits & 0xFF not in NUMERIC_CLASSES or bits & COMPLEX or kind not in STORED:
        raise DataError("has an array that is not of plain numbers")
    dtype = np.dtype(STORED[kind])
    if len(shape) < 2 or min(shape) < 0 or prod(shape) * dtype.itemsize != len(numbers):
        raise DataError(f"has an array of shape {list(shape)} with {len(numbers)} bytes")
    return bytes(name).decode("latin1"), np.frombuffer(numbers, dtype).reshape(shape, order="F")
