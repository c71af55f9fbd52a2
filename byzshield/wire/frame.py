"""One frame: a fixed header and a payload, decoded as if the sender were hostile."""

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from byzshield.errors import FrameError
from byzshield.wire.envelope import Message

__all__ = ["ALL_CHUNKS", "FLAG_BLOSC", "HEADER_BYTES", "NO_WORKER", "DType", "Frame", "Kind"]

MAGIC: Final = b"BZSH"
VERSION: Final = 6
FLAG_BLOSC: Final = 1
NO_WORKER: Final = 0xFFFF_FFFF  # the `worker` of a frame that concerns no single worker
ALL_CHUNKS: Final = 0xFFFF_FFFF  # the `chunk` of a request for a whole file

# magic, version, kind, flags, dtype, worker, step, attempt, file, chunk, count, raw length, payload length, microseconds of
# computing, gradients
_HEADER: Final = struct.Struct("<4sBBBBIIIIIQQQQQ")
HEADER_BYTES: Final = _HEADER.size


class Kind(IntEnum):
    """What a frame is; also its message tag, so that its size can be refused before it is received."""

    HELLO = 1
    PARAMETERS = 2
    DIGESTS = 3
    FETCH = 4
    GRADIENT = 5
    STOP = 6
    GOODBYE = 7
    WELCOME = 8
    DISMISS = 9
    COMPUTE = 10
    EXPELLED = 11


class DType(IntEnum):
    """Element types on the wire, little-endian."""

    UINT8 = 1
    FLOAT32 = 2
    FLOAT64 = 3

    @property
    def itemsize(self) -> int:
        """Bytes an element."""
        return _ITEMSIZE[self]


# A server with a thousand workers decodes 16,000 frames a step, so members are looked up, and frames are not frozen, which takes
# three times as long to make.
_ITEMSIZE: Final = {DType.UINT8: 1, DType.FLOAT32: 4, DType.FLOAT64: 8}
_KINDS: Final = {int(kind): kind for kind in Kind}
_DTYPES: Final = {int(dtype): dtype for dtype in DType}


@dataclass(kw_only=True, slots=True)
class Frame:
    """A decoded frame, which nobody changes. The fields are checked against each other, not against what the receiver expects.

    Args:
        kind: what it is.
        worker: the logical worker that it comes from or is for; `NO_WORKER` for none.
        step: the training step, from 1; 0 before training.
        attempt: how often the server had gone back to an earlier step before this one began.
        file: the file, from 0.
        chunk: the chunk of that file's gradient, from 0; `ALL_CHUNKS` in a request for all.
        dtype: element type of the raw payload.
        count: elements of the raw payload.
        compressed: whether the payload is a blosc buffer.
        payload: the bytes that follow the header.
        compute_us: microseconds that the sending rank has spent on gradients in this step so far, as it says.
        gradients: how many the sending rank has computed since it was started, as it says.
    """

    kind: Kind
    worker: int = NO_WORKER
    step: int = 0
    attempt: int = 0
    file: int = 0
    chunk: int = 0
    dtype: DType = DType.UINT8
    count: int = 0
    compressed: bool = False
    payload: bytes | memoryview = b""
    compute_us: int = 0
    gradients: int = 0

    @property
    def raw_bytes(self) -> int:
        """Length of the payload once decompressed."""
        return self.count * self.dtype.itemsize

    @property
    def encoded(self) -> bytes:
        """Header and payload, as they travel."""
        return self._encode(self.attempt, self.compute_us, self.gradients)

    def _encode(self, attempt: int, compute_us: int, gradients: int) -> bytes:
        header = _HEADER.pack(
            MAGIC,
            VERSION,
            self.kind,
            FLAG_BLOSC if self.compressed else 0,
            self.dtype,
            self.worker,
            self.step,
            attempt,
            self.file,
            self.chunk,
            self.count,
            self.raw_bytes,
            len(self.payload),
            compute_us,
            gradients,
        )
        return b"".join((header, self.payload))

    def to(self, rank: int) -> Message:
        """The message that carries this frame to `rank`."""
        return Message(rank=rank, tag=self.kind, data=self.encoded)

    def to_all(self, ranks: Iterable[int]) -> list[Message]:
        """The messages that carry this frame to each of these ranks; they share their bytes."""
        data = self.encoded
        return [Message(rank=rank, tag=self.kind, data=data) for rank in ranks]

    def telling(self, rank: int, *, attempt: int, compute_us: int = 0, gradients: int = 0) -> Message:
        """The message that carries this frame to `rank`, but for what it tells of the sending rank."""
        return Message(rank=rank, tag=self.kind, data=self._encode(attempt, compute_us, gradients))

    @classmethod
    def decode(cls, data: bytes | bytearray | memoryview, *, bounds: Mapping[int, int]) -> "Frame":
        """Decodes exactly one frame; allocates nothing, the payload is a view of `data`.

        Args:
            data: a whole message.
            bounds: for each kind that may come from this peer, the most raw payload bytes that it may have.

        Raises:
            FrameError: anything at all is wrong with it.
        """
        view = memoryview(data).toreadonly()
        if len(view) < HEADER_BYTES:
            raise FrameError(f"a frame has at least {HEADER_BYTES} bytes; got {len(view)}")
        fields = _HEADER.unpack_from(view)
        magic, version, kind, flags, dtype, worker, step, attempt, file, chunk, count, raw_bytes, payload_bytes = fields[:13]
        if magic != MAGIC or version != VERSION:
            raise FrameError("not a frame of this protocol version")
        if kind not in bounds:
            raise FrameError(f"a frame of kind {kind} is not accepted here")
        if flags & ~FLAG_BLOSC:
            raise FrameError(f"unknown flags {flags:#x}")
        if dtype not in _DTYPES:
            raise FrameError(f"unknown dtype {dtype}")
        payload = view[HEADER_BYTES:]
        if payload_bytes != len(payload):
            raise FrameError(f"the header announces {payload_bytes} payload bytes; got {len(payload)}")
        if raw_bytes > bounds[kind]:
            raise FrameError(f"{raw_bytes} bytes are over the bound of {bounds[kind]} for this kind")
        if raw_bytes != count * _ITEMSIZE[_DTYPES[dtype]]:
            raise FrameError(f"{count} elements do not make {raw_bytes} bytes")
        compressed = bool(flags & FLAG_BLOSC)
        if payload_bytes >= raw_bytes if compressed else payload_bytes != raw_bytes:
            raise FrameError(f"a payload of {payload_bytes} bytes does not fit a raw length of {raw_bytes}")
        return cls(
            kind=_KINDS[kind],
            worker=worker,
            step=step,
            attempt=attempt,
            file=file,
            chunk=chunk,
            dtype=_DTYPES[dtype],
            count=count,
            compressed=compressed,
            payload=payload,
            compute_us=fields[13],
            gradients=fields[14],
        )
