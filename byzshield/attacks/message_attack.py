"""Attacks on the protocol: the gradients are true, the messages are not."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from byzshield.arrays import Float32
from byzshield.attacks.attack import Attack, Situation
from byzshield.errors import ParameterError
from byzshield.wire import SERVER_RANK, Frame, Message, decode_into

__all__ = ["MessageAttack", "altered", "cut", "raw_payload"]


class MessageAttack(Attack):
    """Computes what an honest worker computes, and rewrites the messages that carry it.

    A worker that attacks so while an honest majority holds each of its files changes no bit of the weights. Accomplices with a
    majority of a file's copies can leave the file undecided, or have their copy win where they all send the same.

    Args:
        at_steps: the steps in which it attacks, from 1; empty for all.

    Raises:
        ParameterError: a step is less than 1.
    """

    def __init__(self, *, at_steps: Sequence[int] = ()) -> None:
        if any(step < 1 for step in at_steps):
            raise ParameterError(f"at_steps must be steps from 1; got {list(at_steps)}")
        self._at_steps = frozenset(at_steps)

    def attacks_at(self, step: int) -> bool:
        """Whether `step` is one of those in which it attacks."""
        return not self._at_steps or step in self._at_steps

    def forge(self, gradients: Float32, situation: Situation) -> Float32:
        return gradients

    def tamper(self, frames: list[Frame], *, worker: int, step: int) -> Sequence[Frame | Message]:
        return self.rewrite(frames, worker, step) if self.attacks_at(step) else frames

    @abstractmethod
    def rewrite(self, frames: list[Frame], worker: int, step: int) -> Sequence[Frame | Message]:
        """Returns what the worker sends instead, in a step in which it attacks; as `tamper`."""


def raw_payload(frame: Frame) -> bytes:
    """The payload of a frame of one's own, decompressed."""
    if not frame.compressed:
        return bytes(frame.payload)
    values = np.empty(frame.count, dtype=np.float32)
    decode_into(frame.payload, compressed=True, out=values)
    return values.astype("<f4").tobytes()


def altered(frame: Frame) -> Frame:
    """The same frame with the top bit of every fourth byte turned: a gradient becomes its negative, a digest that of nothing."""
    words = np.frombuffer(raw_payload(frame), dtype="<u4") ^ np.uint32(1 << 31)
    return replace(frame, payload=words.astype("<u4").tobytes(), compressed=False)


def cut(frame: Frame) -> Message:
    """The first half of the bytes of a frame, as a message."""
    return Message(rank=SERVER_RANK, tag=frame.kind, data=frame.encoded[: len(frame.encoded) // 2])
