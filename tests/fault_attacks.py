"""Message-level attacks by (worker, step), named in run files as "fault_attacks:Class"."""

import os
import random
import signal
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from byzshield.attacks import Attack, Situation
from byzshield.wire import HEADER_BYTES, SERVER_RANK, Frame, Kind, Message


class _TrueGradients(Attack):
    """Forges nothing; subclasses tamper with the frames of the given steps."""

    def __init__(self, *, at_steps: list[int] | None = None) -> None:
        self.at_steps = at_steps

    def forge(self, gradients: Any, situation: Situation) -> Any:
        return gradients

    def tamper(self, frames: list[Frame], *, worker: int, step: int) -> Sequence[Frame | Message]:
        if self.at_steps is not None and step not in self.at_steps:
            return frames
        return self.fault(frames, worker, step)

    def fault(self, frames: list[Frame], worker: int, step: int) -> Sequence[Frame | Message]:
        raise NotImplementedError


class LieInDigest(_TrueGradients):
    """Votes for something that nobody else computed."""

    def fault(self, frames: list[Frame], worker: int, step: int) -> Sequence[Frame | Message]:
        return [
            replace(frame, payload=bytes(byte ^ 0xFF for byte in frame.payload)) if frame.kind is Kind.DIGESTS else frame
            for frame in frames
        ]


class LieInPayload(_TrueGradients):
    """Votes honestly and sends other values when it is asked."""

    def fault(self, frames: list[Frame], worker: int, step: int) -> Sequence[Frame | Message]:
        return [self._altered(frame) if frame.kind is Kind.GRADIENT else frame for frame in frames]

    def _altered(self, frame: Frame) -> Frame:
        values = np.zeros(frame.count, dtype="<f4")
        return replace(frame, payload=values.tobytes(), compressed=False)


class DamagedPayload(LieInPayload):
    """Votes honestly and sends a payload whose blosc header lies."""

    def _altered(self, frame: Frame) -> Frame:
        return replace(frame, payload=b"\x02\x01\x21\x04" + b"\xff" * 40, compressed=True)


class Silence(_TrueGradients):
    """Sends nothing at all."""

    def fault(self, frames: list[Frame], worker: int, step: int) -> Sequence[Frame | Message]:
        return []


class VotesButNeverDelivers(_TrueGradients):
    """Votes honestly and is silent when it is asked."""

    def fault(self, frames: list[Frame], worker: int, step: int) -> Sequence[Frame | Message]:
        return [frame for frame in frames if frame.kind is not Kind.GRADIENT]


def _junk(tag: int, data: bytes) -> Message:
    return Message(rank=SERVER_RANK, tag=tag, data=data)


class Garbage(_TrueGradients):
    """Sends bytes that are no frame, under every tag, and then nothing useful."""

    def fault(self, frames: list[Frame], worker: int, step: int) -> Sequence[Frame | Message]:
        noise = random.Random(worker * 1000 + step)
        sizes = (0, 1, HEADER_BYTES - 1, HEADER_BYTES, 200)
        return [
            *(_junk(kind, noise.randbytes(size)) for kind in (Kind.DIGESTS, Kind.GRADIENT) for size in sizes),
            _junk(Kind.PARAMETERS, b"not for the server"),
            _junk(Kind.GRADIENT, b"x" * 1_000_000),
        ]


class VotesTwice(_TrueGradients):
    """Votes honestly, and then again for something else."""

    def fault(self, frames: list[Frame], worker: int, step: int) -> Sequence[Frame | Message]:
        return [*frames, *(replace(frame, payload=bytes(len(frame.payload))) for frame in frames if frame.kind is Kind.DIGESTS)]


class SpeaksForOthers(_TrueGradients):
    """Votes in the name of the next worker."""

    def fault(self, frames: list[Frame], worker: int, step: int) -> Sequence[Frame | Message]:
        return [replace(frame, worker=(frame.worker + 1) % 15) for frame in frames]


class FromTheFuture(_TrueGradients):
    """Votes for a step that has not begun."""

    def fault(self, frames: list[Frame], worker: int, step: int) -> Sequence[Frame | Message]:
        return [replace(frame, step=frame.step + 5) for frame in frames]


class NotFinite(Attack):
    """Sends a NaN in one coordinate."""

    def forge(self, gradients: Any, situation: Situation) -> Any:
        forged = gradients.copy()
        forged[3] = np.nan
        return forged


class Dies(_TrueGradients):
    """Ends its own process without a word."""

    def fault(self, frames: list[Frame], worker: int, step: int) -> Sequence[Frame | Message]:
        os.kill(os.getpid(), signal.SIGKILL)
        return frames
