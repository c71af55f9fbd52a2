"""What a transport offers: unblocking sends and polls of whole messages between ranks."""

from collections.abc import Mapping
from typing import Protocol

from byzshield.wire import Message, Packet

__all__ = ["Endpoint"]


class Endpoint(Protocol):
    """One rank's end of a transport. No call blocks; deadlines are the caller's."""

    rank: int
    size: int

    def send(self, message: Message) -> None:
        """Starts sending a message."""

    def receive(self, bounds: Mapping[int, int]) -> Packet | None:
        """Returns the next message, or None if none is waiting.

        Args:
            bounds: the most bytes accepted for each tag; a longer message, or one with another tag, is refused unread.
        """

    def backlog(self, rank: int) -> int:
        """Messages to `rank` that it has not taken yet."""

    def lost(self) -> frozenset[int]:
        """Ranks known to be dead."""
