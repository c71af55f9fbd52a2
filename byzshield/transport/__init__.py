"""Moves whole messages between ranks: a `Message` goes in at one rank, a `Packet` comes out at another.

`transport.mpi` is imported only by an MPI job, since importing it starts MPI.
"""

from byzshield.transport.endpoint import Endpoint
from byzshield.transport.in_process import InProcessEndpoint, in_process

__all__ = ["Endpoint", "InProcessEndpoint", "in_process"]
