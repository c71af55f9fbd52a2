"""What one end accepts from its peers, and the one way in for a message."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from byzshield.errors import FrameError
from byzshield.wire.envelope import Packet
from byzshield.wire.frame import HEADER_BYTES, Frame

__all__ = ["Acceptance"]


@dataclass(frozen=True)
class Acceptance:
    """The kinds of frames that an end accepts, and how long each may be.

    Args:
        payload_bytes: for each kind the most raw payload bytes.
    """

    payload_bytes: Mapping[int, int]

    @cached_property
    def message_bytes(self) -> dict[int, int]:
        """For each tag the most bytes of a whole message; a transport that is told so refuses longer ones unread."""
        return {kind: HEADER_BYTES + bound for kind, bound in self.payload_bytes.items()}

    def open(self, packet: Packet) -> Frame:
        """Takes the frame out of a message; its payload is a view of the message's bytes.

        Raises:
            FrameError: it was refused unread, is not one whole frame of an accepted kind and length, or has another kind's tag.
        """
        if packet.data is None:
            raise FrameError(
                f"a message of {packet.num_bytes} bytes with tag {packet.tag} is over its bound, or has no place here"
            )
        frame = Frame.decode(packet.data, bounds=self.payload_bytes)
        if frame.kind != packet.tag:
            raise FrameError(f"a {frame.kind.name} came under tag {packet.tag}")
        return frame
