"""What a transport carries: whole messages of bytes, each with a rank and a tag on its envelope."""

from dataclasses import dataclass
from typing import Final

__all__ = ["SERVER_RANK", "Message", "Packet"]

SERVER_RANK: Final = 0


# Not frozen, which would take twice as long to make: a step of a thousand workers has 20,000 of each.
@dataclass(kw_only=True, slots=True)
class Message:
    """A message to be sent; what every end returns that has something to say.

    Args:
        rank: whom it is for.
        tag: the kind of its frame, so that the receiver can refuse its size before it takes it.
        data: its bytes, which must not change afterwards.
    """

    rank: int
    tag: int
    data: bytes


@dataclass(kw_only=True, slots=True)
class Packet:
    """A message that has arrived.

    Args:
        source: the rank that sent it, as the transport knows it (not as the message claims).
        tag: the kind that the sender put on the envelope.
        data: its bytes, in memory that is used again once nobody refers to it; None if it was longer than the bound of its kind
            and was refused unread.
        num_bytes: its length.
    """

    source: int
    tag: int
    data: bytes | bytearray | memoryview | None
    num_bytes: int
