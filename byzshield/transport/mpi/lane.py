"""What comes from one rank over one communicator: in order, one message at a time, and never waited for."""

from collections import deque
from collections.abc import Mapping
from typing import Any

from mpi4py import MPI

from byzshield.reuse import Reused
from byzshield.transport.mpi.drain import Drain
from byzshield.wire import Packet

__all__ = ["Lane"]


class Lane:
    """Receives the messages of one rank that have been matched.

    A message is received when all before it are complete: one that never comes to its end holds back those behind it, and has
    the only buffer of its rank.

    Args:
        rank: the sender.
        drain: takes what is not wanted.
        buffers: where messages go that are long, one after the other.

    Attributes:
        heard: whether messages are wanted; at first they are not.
        dead: whether the sender's process is dead; set from outside.
        taken: messages that have come to their end or were refused.
    """

    def __init__(self, rank: int, drain: Drain, buffers: Reused[bytearray]) -> None:
        self.rank = rank
        self.heard = self.dead = False
        self.taken = 0
        self._drain = drain
        self._buffers = buffers
        self._matched: deque[tuple[MPI.Message, int, int]] = deque()
        self._receiving: tuple[Any, Packet] | None = None

    @property
    def unfinished(self) -> bool:
        """Whether a message has begun to arrive and is not complete."""
        return self._receiving is not None and not self.dead

    @property
    def waiting(self) -> bool:
        """Whether there is anything to poll."""
        return not self.dead and (self._receiving is not None or bool(self._matched))

    def add(self, message: MPI.Message, tag: int, num_bytes: int) -> None:
        """Takes a matched message in, behind all before it."""
        self._matched.append((message, tag, num_bytes))

    def poll(self, bounds: Mapping[int, int]) -> Packet | None:
        """Returns the next message; None if none is complete.

        Args:
            bounds: the most bytes accepted for each tag.

        Raises:
            MPI.Exception: the rank is dead, or MPI has failed.
        """
        if not self.waiting:
            return None
        if self._receiving is not None:
            return self._complete()
        message, tag, num_bytes = self._matched.popleft()
        if not (self.heard and 0 <= num_bytes <= bounds.get(tag, -1)):
            self._drain.take(message, num_bytes, self.rank)
            self.taken += 1
            return Packet(source=self.rank, tag=tag, data=None, num_bytes=num_bytes)
        data = memoryview(self._buffers.take(num_bytes))[:num_bytes]
        self._receiving = message.Irecv([data, MPI.BYTE]), Packet(source=self.rank, tag=tag, data=data, num_bytes=num_bytes)
        return self._complete()

    def close(self) -> None:
        """From now on nothing of this rank is wanted. A message that has begun to arrive keeps its buffer."""
        self.heard = False
        while self._matched:
            message, _, num_bytes = self._matched.popleft()
            self._drain.take(message, num_bytes, self.rank)

    def _complete(self) -> Packet | None:
        assert self._receiving is not None
        request, packet = self._receiving
        if not request.Test():
            return None
        self._receiving = None
        self.taken += 1
        return packet if self.heard else None
