"""Chunks of a gradient and their BLAKE3 digests: what workers vote with."""

from typing import Final

import numpy as np
from blake3 import blake3

from byzshield.arrays import Float32, Float64

__all__ = ["DIGEST_BYTES", "ChunkLayout", "digest"]

DIGEST_BYTES: Final = 32


def digest(values: Float32 | Float64) -> bytes:
    """BLAKE3 of the little-endian bytes of an array; 32 bytes."""
    return blake3(np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<")).view(np.uint8).data).digest()


class ChunkLayout:
    """How a vector of d elements is cut into chunks; the last one may be shorter.

    Args:
        size: d, at least 1.
        chunk_elements: elements a chunk, at least 1.
    """

    def __init__(self, size: int, chunk_elements: int) -> None:
        self.size = size
        self.chunk_elements = chunk_elements
        self.num_chunks = -(-size // chunk_elements)

    def slice(self, chunk: int) -> slice:
        """The elements of `chunk`, 0 <= chunk < num_chunks."""
        return slice(chunk * self.chunk_elements, min(self.size, (chunk + 1) * self.chunk_elements))

    def digests(self, vector: Float32) -> bytes:
        """The digests of all chunks, in order, joined: 32 * num_chunks bytes."""
        return b"".join(digest(vector[self.slice(chunk)]) for chunk in range(self.num_chunks))

    def digest_of(self, digests: bytes, chunk: int) -> bytes:
        """The digest of one chunk out of `digests`."""
        return digests[DIGEST_BYTES * chunk : DIGEST_BYTES * (chunk + 1)]
