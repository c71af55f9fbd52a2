"""Moves whole messages between ranks: bytes and a tag go in at one rank, a `Packet` comes out at another.

`transport.mpi` is imported only by an MPI job, since importing it starts MPI.
"""

from byzshield.transport.endpoint import Endpoint, Packet
from byzshield.transport.in_process import InProcessEndpoint, in_process

__all__ = ["Endpoint", "InProcessEndpoint", "Packet", "in_process"]
