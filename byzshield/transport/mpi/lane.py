"""What comes from one rank over one communicator: in order, one message at a time, and never waited for."""

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final

from mpi4py import MPI

from byzshield.reuse import Reused
from byzshield.transport.mpi.drain import Drain
from byzshield.wire import Packet

__all__ = ["Lane"]

REUSED_BYTES: Final = range(1 << 16, 1 << 23)  # lengths of messages for which a buffer is worth keeping


class Lane:
    """Takes the messages of one rank.

    Open MPI keeps what has arrived and is not matched in memory, without a bound. So a poll matches all of it, which it can do
    to the end: Open MPI lets more come in only when it finds nothing. What is matched is charged to the sender at once, and
    received when all before it is complete: a message that never comes to its end holds back those behind it, and has the only
    buffer of its rank.

    Args:
        comm: the communicator; its errors must be returned.
        rank: the sender.
        drain: takes what is not wanted.
        charge: is told the size of each message as soon as it is matched; returns whether anybody shall hear of it.
        buffers: where messages go that are long, one after the other.

    Attributes:
        heard: whether messages are wanted; at first they are not.
        dead: whether the sender's process is dead; set from outside.
        taken: messages that have come to their end or were refused.
    """

    def __init__(
        self, comm: MPI.Comm, rank: int, drain: Drain, charge: Callable[["Lane", int], bool], buffers: Reused[bytearray]
    ) -> None:
        self.rank = rank
        self.heard = self.dead = False
        self.taken = 0
        self._comm = comm
        self._drain = drain
        self._charge = charge
        self._buffers = buffers
        self._status = MPI.Status()
        self._matched: deque[tuple[MPI.Message, int, int]] = deque()
        self._receiving: tuple[Any, Packet] | None = None

    @property
    def unfinished(self) -> bool:
        """Whether a message has begun to arrive and is not complete."""
        return self._receiving is not None and not self.dead

    def poll(self, bounds: Mapping[int, int]) -> Packet | None:
        """Returns the next message; None if none is complete.

        Args:
            bounds: the most bytes accepted for each tag.

        Raises:
            MPI.Exception: the rank is dead, or MPI has failed.
        """
        if self.dead:
            return None
        if self._receiving is not None:
            self._match()
            return self._complete()
        if not self._matched:
            self._match()
        if not self._matched:
            return None
        message, tag, num_bytes = self._matched.popleft()
        if not (self.heard and 0 <= num_bytes <= bounds.get(tag, -1)):
            self._drain.take(message, num_bytes)
            self.taken += 1
            return Packet(source=self.rank, tag=tag, data=None, num_bytes=num_bytes)
        buffer = self._buffers.take(num_bytes) if num_bytes in REUSED_BYTES else bytearray(num_bytes)
        data = memoryview(buffer)[:num_bytes]
        self._receiving = message.Irecv([data, MPI.BYTE]), Packet(source=self.rank, tag=tag, data=data, num_bytes=num_bytes)
        return self._complete()

    def close(self) -> None:
        """From now on nothing of this rank is wanted. A message that has begun to arrive keeps its buffer."""
        self.heard = False
        while self._matched:
            message, _, num_bytes = self._matched.popleft()
            self._drain.take(message, num_bytes)

    def _match(self) -> None:
        while (message := self._comm.Improbe(self.rank, MPI.ANY_TAG, self._status)) is not None:
            # Not Get_count, which has 31 bits and is negative or undefined for what is longer.
            num_bytes = self._status.Get_elements(MPI.BYTE)
            if self._charge(self, num_bytes):
                self._matched.append((message, self._status.Get_tag(), num_bytes))
            else:
                self._drain.take(message, num_bytes)

    def _complete(self) -> Packet | None:
        assert self._receiving is not None
        request, packet = self._receiving
        if not request.Test():
            return None
        self._receiving = None
        self.taken += 1
        return packet if self.heard else None
