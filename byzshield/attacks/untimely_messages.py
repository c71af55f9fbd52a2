"""Messages that come late, twice, under another step, or not at all."""

import os
import signal
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from byzshield.attacks.attack import ATTACKS
from byzshield.attacks.message_attack import MessageAttack, cut
from byzshield.errors import ParameterError
from byzshield.wire import Frame, Kind, Message

__all__ = ["Death", "Lateness", "NoDelivery", "Repetition", "Replay", "Silence", "WrongStep"]

LONGEST_DELAY: Final = 10
LAST_NUMBER: Final = 2**32 - 1  # a step has 32 bits in a frame


@ATTACKS.register("silence")
class Silence(MessageAttack):
    """Sends nothing.

    The server waits for nobody who cannot change a decision, so that one silent worker costs no time. A file that lacks r'
    equal copies is undecided at the deadline, and its silent workers are counted with `timeout`.

    Args:
        at_steps: the steps in which it does so, from 1; empty for all.
    """

    def rewrite(self, frames: list[Frame], worker: int, step: int) -> Sequence[Frame | Message]:
        return []


@ATTACKS.register("no_delivery")
class NoDelivery(MessageAttack):
    """Votes honestly and never sends a gradient: silence in the full exchange.

    In the digest exchange a worker that was asked for a gradient is counted with `timeout` at the deadline, and the server asks
    the next one that voted alike.

    Args:
        at_steps: the steps in which it does so, from 1; empty for all.
    """

    def rewrite(self, frames: list[Frame], worker: int, step: int) -> Sequence[Frame | Message]:
        return [frame for frame in frames if frame.kind is not Kind.GRADIENT]


@ATTACKS.register("lateness")
class Lateness(MessageAttack):
    """Holds its messages back and sends them with those of a later step in which the worker has something to send.

    To the server it is silent in the meantime, with `timeout` where it was waited for. A vote that comes a step late still
    counts against its sender as `minority` if it was wrong; what is older changes nothing and counts for nothing. Messages
    held back when the run stops are never sent.

    Args:
        delay: steps, 1 to 10; the messages wait in the worker's memory.
        at_steps: the steps whose messages are late, from 1; empty for all.

    Raises:
        ParameterError: the delay is out of range, or a step is less than 1.
    """

    def __init__(self, *, delay: int = 1, at_steps: Sequence[int] = ()) -> None:
        super().__init__(at_steps=at_steps)
        if not 1 <= delay <= LONGEST_DELAY:
            raise ParameterError(f"delay must be 1 to {LONGEST_DELAY} steps; got {delay}")
        self.delay = delay
        self._held: dict[int, deque[tuple[int, Frame]]] = {}

    def tamper(self, frames: list[Frame], *, worker: int, step: int) -> Sequence[Frame | Message]:
        held, due = self._held.setdefault(worker, deque()), []
        while held and held[0][0] <= step:
            due.append(held.popleft()[1])
        return [*due, *super().tamper(frames, worker=worker, step=step)]

    def rewrite(self, frames: list[Frame], worker: int, step: int) -> Sequence[Frame | Message]:
        self._held[worker] += [(step + self.delay, frame) for frame in frames]
        return []


@ATTACKS.register("death")
class Death(MessageAttack):
    """Dies in the middle of a message: sends half of one, and ends its own process when it is to send the next.

    Under mpirun that is SIGKILL, and takes along all workers of the rank. With `mpirun --with-ft ulfm` the server counts them
    as `lost` and goes on without them; without it, MPI ends the whole job. In the simulator, where no worker has a process of
    its own, the worker alone falls silent for the rest of the run. Half of a vote is counted as `malformed`.

    Args:
        at_steps: the worker dies in the first of these steps in which it is Byzantine, from 1; empty for the first of all.
    """

    def __init__(self, *, at_steps: Sequence[int] = ()) -> None:
        super().__init__(at_steps=at_steps)
        self._dying: set[int] = set()

    def tamper(self, frames: list[Frame], *, worker: int, step: int) -> Sequence[Frame | Message]:
        if worker not in self._dying:
            return super().tamper(frames, worker=worker, step=step)
        if "PMIX_RANK" in os.environ:  # set by mpirun, and by srun --mpi=pmix
            os.kill(os.getpid(), signal.SIGKILL)
        return []

    def rewrite(self, frames: list[Frame], worker: int, step: int) -> Sequence[Frame | Message]:
        self._dying.add(worker)
        half = len(frames) // 2
        return frames[:half] if half else [cut(frame) for frame in frames]


@ATTACKS.register("wrong_step")
class WrongStep(MessageAttack):
    """Sends its messages under the number of another step.

    A number to come is counted as `malformed`. One of the step before makes it a late vote for that step, and `minority`
    because it is none that won there; an older one counts for nothing. In the present step the worker has sent nothing.

    Args:
        offset: steps to add to the number; negative for a stale one.
        at_steps: the steps in which it does so, from 1; empty for all.

    Raises:
        ParameterError: the offset is 0, or a step is less than 1.
    """

    def __init__(self, *, offset: int = -1, at_steps: Sequence[int] = ()) -> None:
        super().__init__(at_steps=at_steps)
        if offset == 0:
            raise ParameterError("offset must not be 0, which is the right step")
        self.offset = offset

    def rewrite(self, frames: list[Frame], worker: int, step: int) -> Sequence[Frame | Message]:
        return [replace(frame, step=min(max(frame.step + self.offset, 0), LAST_NUMBER)) for frame in frames]


@ATTACKS.register("replay")
class Replay(MessageAttack):
    """Sends what it has sent last for the same file again, under the number of the present step.

    An old gradient is a wrong one: `minority`. Where there is nothing to send again, in the first step or after a run was
    resumed, it is honest. With accomplices who hold a majority of a file the old gradient wins; in the digest exchange only
    where the server had asked one of them for it, and the file is undecided otherwise.

    Args:
        at_steps: the steps in which it does so, from 1; empty for all.
    """

    def __init__(self, *, at_steps: Sequence[int] = ()) -> None:
        super().__init__(at_steps=at_steps)
        self._last: dict[tuple[int, Kind, int, int], Frame] = {}

    def tamper(self, frames: list[Frame], *, worker: int, step: int) -> Sequence[Frame | Message]:
        sent = super().tamper(frames, worker=worker, step=step)
        self._last.update({(worker, frame.kind, frame.file, frame.chunk): frame for frame in frames})
        return sent

    def rewrite(self, frames: list[Frame], worker: int, step: int) -> Sequence[Frame | Message]:
        old = [self._last.get((worker, frame.kind, frame.file, frame.chunk), frame) for frame in frames]
        return [replace(frame, step=step) for frame in old]


@ATTACKS.register("repetition")
class Repetition(MessageAttack):
    """Sends every message twice.

    The second vote is counted as `malformed`, and the first one stands. A gradient that comes again after it was complete is
    ignored in the digest exchange.

    Args:
        at_steps: the steps in which it does so, from 1; empty for all.
    """

    def rewrite(self, frames: list[Frame], worker: int, step: int) -> Sequence[Frame | Message]:
        return [*frames, *frames]
