"""Messages that are no frames, or frames that do not hold what they must."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from byzshield.attacks.attack import ATTACKS
from byzshield.attacks.message_attack import MessageAttack, cut, raw_payload
from byzshield.errors import ParameterError
from byzshield.seeding import generator
from byzshield.wire import HEADER_BYTES, SERVER_RANK, DType, Frame, Kind, Message

__all__ = ["BadCompression", "Garbage", "Truncation", "WrongDType", "WrongLength"]

MOST_ELEMENTS: Final = 1 << 20


@ATTACKS.register("wrong_length")
class WrongLength(MessageAttack):
    """Sends frames that are whole but some elements too short or too long.

    The server knows how long each must be and counts it as `malformed`; one that is longer than its kind may be is never
    received. For the vote, the worker has sent nothing.

    Args:
        difference: elements (bytes of a digest, values of a gradient) more than there should be, or fewer if negative.
        at_steps: the steps in which it does so, from 1; empty for all.

    Raises:
        ParameterError: the difference is 0 or beyond 2^20, or a step is less than 1.
    """

    def __init__(self, *, difference: int = -1, at_steps: Sequence[int] = ()) -> None:
        super().__init__(at_steps=at_steps)
        if not 0 < abs(difference) <= MOST_ELEMENTS:
            raise ParameterError(f"difference must be between 1 and {MOST_ELEMENTS}, or the same below 0; got {difference}")
        self.difference = difference

    def rewrite(self, frames: list[Frame], worker: int, step: int) -> Sequence[Frame | Message]:
        return [self._resized(frame) for frame in frames]

    def _resized(self, frame: Frame) -> Frame:
        count = max(0, frame.count + self.difference)
        payload = raw_payload(frame).ljust(count * frame.dtype.itemsize, b"\0")[: count * frame.dtype.itemsize]
        return replace(frame, count=count, payload=payload, compressed=False)


@ATTACKS.register("wrong_dtype")
class WrongDType(MessageAttack):
    """Sends the right bytes as elements of the wrong type: float32 values as bytes, digests as float32 values.

    The server counts `malformed`. For the vote, the worker has sent nothing.

    Args:
        at_steps: the steps in which it does so, from 1; empty for all.
    """

    def rewrite(self, frames: list[Frame], worker: int, step: int) -> Sequence[Frame | Message]:
        return [self._retyped(frame) for frame in frames]

    def _retyped(self, frame: Frame) -> Frame:
        dtype, payload = DType.UINT8 if frame.dtype is DType.FLOAT32 else DType.FLOAT32, raw_payload(frame)
        return replace(frame, dtype=dtype, count=len(payload) // dtype.itemsize, payload=payload, compressed=False)


@ATTACKS.register("truncation")
class Truncation(MessageAttack):
    """Sends the first half of every message.

    The server cannot decode it and counts `malformed` for all workers of the rank that it came from, since it cannot know whose
    it was. For the vote, the worker has sent nothing.

    Args:
        at_steps: the steps in which it does so, from 1; empty for all.
    """

    def rewrite(self, frames: list[Frame], worker: int, step: int) -> Sequence[Frame | Message]:
        return [cut(frame) for frame in frames]


@ATTACKS.register("bad_compression")
class BadCompression(MessageAttack):
    """Sends gradients as blosc buffers whose header and table of blocks lie; votes honestly in the digest exchange.

    The server checks both before it decompresses anything, counts `malformed`, and asks another worker for the file.

    Args:
        at_steps: the steps in which it does so, from 1; empty for all.
    """

    def rewrite(self, frames: list[Frame], worker: int, step: int) -> Sequence[Frame | Message]:
        return [self._damaged(frame) if frame.kind is Kind.GRADIENT else frame for frame in frames]

    def _damaged(self, frame: Frame) -> Frame:
        payload = b"\x02\x01\x21\x04" + b"\xff" * 40  # version, codec, flags and element size are right
        return replace(frame, payload=payload, compressed=True)


@ATTACKS.register("garbage")
class Garbage(MessageAttack):
    """Sends random bytes of many lengths under every tag, a megabyte among them, and nothing else.

    The server refuses what is too long without receiving it, cannot decode the rest, and counts `malformed` for all workers of
    the rank that it came from.

    Args:
        at_steps: the steps in which it does so, from 1; empty for all.
    """

    def rewrite(self, frames: list[Frame], worker: int, step: int) -> Sequence[Frame | Message]:
        noise = generator(0, "garbage", worker, step)
        junk = [(kind, size) for kind in (Kind.DIGESTS, Kind.GRADIENT) for size in (0, 1, HEADER_BYTES - 1, HEADER_BYTES, 200)]
        junk += [(Kind.PARAMETERS, 18), (Kind.GRADIENT, 1_000_000)]
        return [Message(rank=SERVER_RANK, tag=kind, data=noise.bytes(size)) for kind, size in junk]
