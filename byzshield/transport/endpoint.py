"""What a transport offers: unblocking sends and polls of whole messages between ranks."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

__all__ = ["Endpoint", "Packet"]


@dataclass(frozen=True, kw_only=True)
class Packet:
    """A message that has arrived.

    Args:
        source: the rank that sent it, as the transport knows it (not as the message claims).
        tag: the kind that the sender put on the envelope.
        data: its bytes; None if it was longer than the bound of its kind and was refused unread.
        num_bytes: its length.
    """

    source: int
    tag: int
    data: bytes | bytearray | None
    num_bytes: int


class Endpoint(Protocol):
    """One rank's end of a transport. No call blocks; deadlines are the caller's."""

    rank: int
    size: int

    def send(self, rank: int, tag: int, data: bytes) -> None:
        """Starts sending `data`, which must not change afterwards."""

    def receive(self, bounds: Mapping[int, int]) -> Packet | None:
        """Returns the next message, or None if none is waiting.

        Args:
            bounds: the most bytes accepted for each tag; a longer message, or one with another tag, is refused unread.
        """

    def backlog(self, rank: int) -> int:
        """Messages to `rank` that it has not taken yet."""

    def lost(self) -> frozenset[int]:
        """Ranks known to be dead."""
