"""Where messages go that nobody wants: received in constant memory, whatever their size, and forgotten."""

from collections import Counter, deque
from typing import Final

from mpi4py import MPI

__all__ = ["Drain"]

BLOCK: Final = 1 << 16  # bytes that everything is written to, one block over the other
LARGEST: Final = BLOCK * (2**31 - 1)  # the most that one datatype of such blocks can hold
AT_A_TIME: Final = 16  # unfinished messages that one call looks at


class Drain:
    """Receives unwanted messages on top of each other.

    A message that is matched and never received would keep up to 64 KiB in the receiver's memory for ever, and its sender's
    MPI_Finalize waiting. (To receive it into a buffer that is too short is no way out: Open MPI 5.0 has been seen to write past
    the end.) So a message is received whole, by a datatype whose blocks all lie in the same place.

    Attributes:
        unfinished: of each rank, how many messages have begun to arrive and have not come to their end.
    """

    def __init__(self) -> None:
        self.unfinished = Counter[int]()
        self._block = bytearray(BLOCK)
        self._requests: deque[tuple[MPI.Request, int]] = deque()

    def take(self, message: MPI.Message, num_bytes: int, source: int) -> None:
        """Begins to receive a matched message of this size from a rank, and forgets it."""
        if not 0 <= num_bytes <= LARGEST:
            return  # 128 TiB are left to their sender, who will not live to send them
        try:
            if num_bytes <= BLOCK:
                request = message.Irecv([self._block, num_bytes, MPI.BYTE])
            else:
                pile = MPI.BYTE.Create_hvector(-(-num_bytes // BLOCK), BLOCK, 0).Commit()
                request = message.Irecv([self._block, 1, pile])
                pile.Free()  # once the request is done with it
        except MPI.Exception:  # its sender has died
            return
        self._keep_unless_done(request, source)

    def go_on(self) -> None:
        """Helps on what has not arrived whole."""
        for _ in range(min(AT_A_TIME, len(self._requests))):
            request, source = self._requests.popleft()
            self.unfinished[source] -= 1
            self._keep_unless_done(request, source)

    def _keep_unless_done(self, request: MPI.Request, source: int) -> None:
        try:
            done = request.Test()
        except MPI.Exception:  # its sender has died
            done = True
        if not done:
            self._requests.append((request, source))
            self.unfinished[source] += 1

    @property
    def empty(self) -> bool:
        """Whether everything has arrived."""
        return not self._requests
