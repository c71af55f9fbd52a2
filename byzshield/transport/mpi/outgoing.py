"""What is on its way to one rank, kept until MPI is done with it."""

from collections import deque
from typing import Any

from mpi4py import MPI

__all__ = ["Outgoing"]


class Outgoing:
    """Messages that MPI has been given and has not been done with, in this order.

    Attributes:
        num_bytes: of all of them.
    """

    def __init__(self) -> None:
        self.num_bytes = 0
        self._waiting: deque[tuple[Any, bytes]] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, request: MPI.Request, data: bytes) -> None:
        """Keeps a message of which MPI has begun the sending."""
        self._waiting.append((request, data))
        self.num_bytes += len(data)

    def reap(self) -> None:
        """Forgets what the rank has taken; it takes one message after the other, so that one test tells most of the time.

        Raises:
            MPI.Exception: the rank is dead, or MPI has failed.
        """
        while self._waiting and self._waiting[0][0].Test():
            _, data = self._waiting.popleft()
            self.num_bytes -= len(data)
