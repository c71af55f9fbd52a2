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

    def grant(self, rank: int, messages: int, num_bytes: int, *, most: int = 1) -> None:
        """Lets `rank` send so much more; one that sends more than it was granted is lost.

        Args:
            rank: the sender.
            messages: how many more.
            num_bytes: how many more bytes they may have together.
            most: what is left of earlier grants counts up to so many times this one.
        """

    def cut_off(self, rank: int, reason: str) -> None:
        """Gives up a rank: it is lost from now on."""

    def unfinished(self) -> Mapping[int, int]:
        """The ranks whose next message has begun to arrive, and how many each had sent before."""

    def backlog(self, rank: int, *, beyond: int = 0) -> int:
        """Messages to `rank` that it has not taken yet; if there may be no more than `beyond`, perhaps some that it has."""

    def held(self, rank: int, *, beyond: int = 0) -> int:
        """Bytes that are kept here for `rank` until it has taken them; if more than `beyond`, none that it has."""

    def lost(self) -> Mapping[int, str]:
        """Ranks that are dead or cut off, each with the reason."""
