"""Messages that contradict the true gradient, each other, or their sender."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import count
from typing import Final

import numpy as np

from byzshield.arrays import Float32
from byzshield.attacks.attack import ATTACKS, Situation
from byzshield.attacks.message_attack import MessageAttack, altered
from byzshield.errors import ParameterError
from byzshield.seeding import generator
from byzshield.wire import Frame, Kind, Message

__all__ = ["ChangingPayload", "DigestPayloadMismatch", "DoubleVote", "Impersonation", "LastBitFlip", "WrongDigest"]

MOST_WORKERS: Final = 2**16 - 1


@ATTACKS.register("wrong_digest")
class WrongDigest(MessageAttack):
    """Votes with the digest of nothing that anybody has computed; honest in the full exchange, which has no digests.

    The vote loses: `minority`. Accomplices with a majority of a file have it win and cannot deliver, which leaves the file
    undecided and is counted as `payload_mismatch`.

    Args:
        at_steps: the steps in which it does so, from 1; empty for all.
    """

    def rewrite(self, frames: list[Frame], worker: int, step: int) -> Sequence[Frame | Message]:
        return [altered(frame) if frame.kind is Kind.DIGESTS else frame for frame in frames]


@ATTACKS.register("digest_payload_mismatch")
class DigestPayloadMismatch(MessageAttack):
    """Votes with the digest of the true gradient and delivers its negative.

    The server checks every chunk against the digest that won, counts `payload_mismatch`, and asks the next worker that voted
    alike. In the full exchange the gradient is the vote, and loses: `minority`.

    Args:
        at_steps: the steps in which it does so, from 1; empty for all.
    """

    def rewrite(self, frames: list[Frame], worker: int, step: int) -> Sequence[Frame | Message]:
        return [altered(frame) if frame.kind is Kind.GRADIENT else frame for frame in frames]


@ATTACKS.register("changing_payload")
class ChangingPayload(MessageAttack):
    """Votes honestly and answers every request for a gradient with other random bytes, even the same request twice.

    Counted and replaced as in `DigestPayloadMismatch`.

    Args:
        at_steps: the steps in which it does so, from 1; empty for all.
    """

    def __init__(self, *, at_steps: Sequence[int] = ()) -> None:
        super().__init__(at_steps=at_steps)
        self._answers = count()

    def rewrite(self, frames: list[Frame], worker: int, step: int) -> Sequence[Frame | Message]:
        noise = generator(0, "changing_payload", worker, step, next(self._answers))
        return [
            replace(frame, payload=noise.bytes(frame.raw_bytes), compressed=False) if frame.kind is Kind.GRADIENT else frame
            for frame in frames
        ]


@ATTACKS.register("double_vote")
class DoubleVote(MessageAttack):
    """Votes honestly, and then again for something else.

    The first vote stands, and the second one is counted as `malformed`.

    Args:
        at_steps: the steps in which it does so, from 1; empty for all.
    """

    def rewrite(self, frames: list[Frame], worker: int, step: int) -> Sequence[Frame | Message]:
        return [*frames, *map(altered, frames)]


@ATTACKS.register("impersonation")
class Impersonation(MessageAttack):
    """Speaks in the name of another worker.

    The server knows which rank a message comes from: a name of another rank is counted as `malformed` for all workers of the
    sender's rank. Workers of one rank are one process, and nobody can tell them apart.

    Args:
        victim: the other worker, from 0.
        at_steps: the steps in which it does so, from 1; empty for all.

    Raises:
        ParameterError: the victim is no worker's number, or a step is less than 1.
    """

    def __init__(self, *, victim: int = 0, at_steps: Sequence[int] = ()) -> None:
        super().__init__(at_steps=at_steps)
        if not 0 <= victim <= MOST_WORKERS:
            raise ParameterError(f"victim must be a worker from 0 to {MOST_WORKERS}; got {victim}")
        self.victim = victim

    def rewrite(self, frames: list[Frame], worker: int, step: int) -> Sequence[Frame | Message]:
        return [replace(frame, worker=self.victim) for frame in frames]


@ATTACKS.register("last_bit_flip")
class LastBitFlip(MessageAttack):
    """Turns the last bit of every value: a gradient that no tolerance would tell from the true one.

    Votes compare bits: `minority`. Accomplices all flip the same, so with a majority of a file theirs wins.

    Args:
        at_steps: the steps in which it does so, from 1; empty for all.
    """

    def forge(self, gradients: Float32, situation: Situation) -> Float32:
        if not self.attacks_at(situation.step):
            return gradients
        return (np.ascontiguousarray(gradients).view(np.uint32) ^ np.uint32(1)).view(np.float32)

    def rewrite(self, frames: list[Frame], worker: int, step: int) -> Sequence[Frame | Message]:
        return frames
