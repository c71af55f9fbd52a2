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

    def send(self, message: Message) -> None:
        """Puts the message into the inbox of its rank."""
        self._queues[message.rank].append((self.rank, message))

    def receive(self, bounds: Mapping[int, int]) -> Packet | None:
        """Takes the oldest message out of this rank's inbox."""
        if not self._queues[self.rank]:
            return None
        source, message = self._queues[self.rank].popleft()
        num_bytes = len(message.data)
        accepted = num_bytes <= bounds.get(message.tag, -1)
        return Packet(source=source, tag=message.tag, data=message.data if accepted else None, num_bytes=num_bytes)

    def backlog(self, rank: int) -> int:
        """Messages that wait in the inbox of `rank` and came from here."""
        return sum(source == self.rank for source, _ in self._queues[rank])

    def lost(self) -> frozenset[int]:
        """None: ranks in one process end together."""
        return frozenset()


def in_process(size: int) -> list[InProcessEndpoint]:
    """Returns the connected endpoints of ranks 0 to size - 1."""
    queues: list[deque[tuple[int, Message]]] = [deque() for _ in range(size)]
    return [InProcessEndpoint(rank, queues) for rank in range(size)]
