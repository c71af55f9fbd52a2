"""Bytes on the wire: arrays and votes go in, messages come out, and a strict decoder takes them apart again."""

from byzshield.wire.acceptance import Acceptance
from byzshield.wire.array_codec import ArrayEncoder, decode_into
from byzshield.wire.digest import DIGEST_BYTES, ChunkLayout, digest
from byzshield.wire.envelope import SERVER_RANK, Message, Packet
from byzshield.wire.frame import ALL_CHUNKS, HEADER_BYTES, NO_WORKER, DType, Frame, Kind

__all__ = [
    "ALL_CHUNKS",
    "DIGEST_BYTES",
    "HEADER_BYTES",
    "NO_WORKER",
    "SERVER_RANK",
    "Acceptance",
    "ArrayEncoder",
    "ChunkLayout",
    "DType",
    "Frame",
    "Kind",
    "Message",
    "Packet",
    "decode_into",
    "digest",
]
