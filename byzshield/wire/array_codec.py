"""float32 arrays to payload bytes and back: the only place that calls blosc."""

import struct
import sys
from typing import Final

import blosc
import numpy as np

from byzshield.arrays import Float32
from byzshield.choices import Compression, require_choice
from byzshield.errors import FrameError

__all__ = ["ArrayEncoder", "decode_into"]


MOST_SKIPPED: Final = 64  # most chunks that are sent raw between two attempts
_BLOSC_HEADER: Final = struct.Struct("<BBBBIII")
_BLOSC_FORMAT: Final = 2
_BLOSC_FLAGS: Final = (0x21, 0x31)  # lz4 with byte shuffle, blocks split or not: all that the encoder makes

blosc.set_nthreads(1)
blosc.set_releasegil(True)


class ArrayEncoder:
    """Encodes chunks, compressed where they shrink; while they do not, ever fewer are tried.

    Args:
        compression: "on" or "off"; "auto" is off until it is told otherwise.

    Attributes:
        compresses: whether chunks are compressed for now.

    Raises:
        ParameterError: another word.
    """

    def __init__(self, compression: Compression) -> None:
        require_choice("compression", compression, Compression)
        self.compresses = compression == "on"
        self._told = compression == "auto"
        self._misses = 0
        self._to_skip = 0

    def follow(self, compresses: bool) -> None:
        """Has "auto" compress from now on, or not; whoever was set to "on" or "off" stays so."""
        if self._told:
            self.compresses = compresses

    def encode(self, values: Float32) -> tuple[bool, bytes | memoryview]:
        """Returns (compressed, payload) of a contiguous float32 array; what is not compressed is a view of it."""
        values = np.ascontiguousarray(values, dtype="<f4")
        raw = values.view(np.uint8).data
        if not self.compresses or values.size == 0:
            return False, raw
        if self._to_skip > 0:
            self._to_skip -= 1
            return False, raw
        packed: bytes = blosc.compress_ptr(values.ctypes.data, values.size, 4, 1, blosc.SHUFFLE, "lz4")
        if len(packed) < values.nbytes:
            self._misses = 0
            return True, packed
        self._misses += 1
        self._to_skip = min(2**self._misses, MOST_SKIPPED)
        return False, raw


def decode_into(payload: bytes | memoryview, *, compressed: bool, out: Float32) -> None:
    """Writes the payload into `out`, a contiguous float32 array of the expected length.

    The blosc header and its table of blocks are checked before decompression; the body is not trusted either, and only a
    digest says whether the values are those that were voted for.

    Raises:
        FrameError: the payload is not such an array. `out` may then hold anything.
    """
    if not compressed:
        if len(payload) != out.nbytes:
            raise FrameError(f"expected {out.nbytes} raw bytes; got {len(payload)}")
        out[:] = np.frombuffer(payload, dtype="<f4")
        return
    _check_blosc(payload, raw_bytes=out.nbytes)
    try:
        written = blosc.decompress_ptr(bytes(payload), out.ctypes.data)
    except Exception as error:
        raise FrameError(f"blosc refused the payload: {error}") from error
    if written != out.nbytes:
        raise FrameError(f"blosc wrote {written} of {out.nbytes} bytes")
    if sys.byteorder == "big":
        out.byteswap(inplace=True)


def _check_blosc(payload: bytes | memoryview, *, raw_bytes: int) -> None:
    if len(payload) < _BLOSC_HEADER.size:
        raise FrameError("a blosc buffer has at least 16 bytes")
    version, codec_version, flags, typesize, nbytes, blocksize, cbytes = _BLOSC_HEADER.unpack_from(payload)
    if version != _BLOSC_FORMAT or codec_version != 1 or typesize != 4 or flags not in _BLOSC_FLAGS:
        raise FrameError("not an lz4 blosc buffer of 4-byte elements")
    if nbytes != raw_bytes or cbytes != len(payload) or not 0 < blocksize <= nbytes:
        raise FrameError("the blosc header does not match the expected sizes")
    num_blocks = -(-nbytes // blocksize)
    first = _BLOSC_HEADER.size + 4 * num_blocks
    if first > cbytes:
        raise FrameError("the blosc buffer is too short for its blocks")
    starts = np.frombuffer(payload, dtype="<u4", count=num_blocks, offset=_BLOSC_HEADER.size)
    if starts.min() < first or starts.max() > cbytes - 4:
        raise FrameError("a blosc block starts outside the buffer")
