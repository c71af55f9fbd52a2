"""Ranks in one process: queues between sequential objects."""

from collections import deque
from collections.abc import Mapping

from byzshield.wire import Message, Packet

__all__ = ["InProcessEndpoint", "in_process"]


class InProcessEndpoint:
    """One rank of an in-process transport; made by `in_process`.

    Args:
        rank: this rank.
        queues: the inbox of every rank, shared by all endpoints.
    """

    def __init__(self, rank: int, queues: list[deque[tuple[int, Message]]]) -> None:
        self.rank = rank
        self.size = len(queues)
        self._queues = queues
        self._lost: dict[int, str] = {}

    def send(self, message: Message) -> None:
        """Puts the message into the inbox of its rank."""
        self._queues[message.rank].append((self.rank, message))

    def receive(self, bounds: Mapping[int, int]) -> Packet | None:
        """Takes the oldest message out of this rank's inbox."""
        while self._queues[self.rank]:
            source, message = self._queues[self.rank].popleft()
            if source in self._lost:
                continue
            num_bytes = len(message.data)
            accepted = num_bytes <= bounds.get(message.tag, -1)
            return Packet(source=source, tag=message.tag, data=message.data if accepted else None, num_bytes=num_bytes)
        return None

    def backlog(self, rank: int, *, beyond: int = 0) -> int:
        """Messages that wait in the inbox of `rank` and came from here."""
        return sum(source == self.rank for source, _ in self._queues[rank])

    def held(self, rank: int, *, beyond: int = 0) -> int:
        """None: what is sent is in the inbox of its rank."""
        return 0

    def grant(self, rank: int, messages: int, num_bytes: int, *, most: int = 1) -> None:
        """Nothing: ranks in one process share its memory."""

    def cut_off(self, rank: int, reason: str) -> None:
        """Drops what `rank` sends from now on."""
        self._lost[rank] = reason

    def unfinished(self) -> Mapping[int, int]:
        """None: messages arrive whole."""
        return {}

    def lost(self) -> Mapping[int, str]:
        """The ranks that were cut off: those in one process die together."""
        return self._lost


def in_process(size: int) -> list[InProcessEndpoint]:
    """Returns the connected endpoints of ranks 0 to size - 1."""
    queues: list[deque[tuple[int, Message]]] = [deque() for _ in range(size)]
    return [InProcessEndpoint(rank, queues) for rank in range(size)]
