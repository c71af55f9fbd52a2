"""Bytes on the wire: arrays and votes go in, frames come out, and a strict decoder takes them apart again."""

from byzshield.wire.array_codec import ArrayEncoder, Compression, decode_into
from byzshield.wire.digest import DEFAULT_CHUNK_ELEMENTS, ChunkLayout, digest
from byzshield.wire.frame import ALL_CHUNKS, DIGEST_BYTES, HEADER_BYTES, SERVER, DType, Frame, Kind

__all__ = [
    "ALL_CHUNKS",
    "DEFAULT_CHUNK_ELEMENTS",
    "DIGEST_BYTES",
    "HEADER_BYTES",
    "SERVER",
    "ArrayEncoder",
    "ChunkLayout",
    "Compression",
    "DType",
    "Frame",
    "Kind",
    "decode_into",
    "digest",
]
