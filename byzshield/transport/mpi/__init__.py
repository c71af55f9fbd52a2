"""Messages between ranks over MPI: bytes only, point to point, every size known before it is received.

Importing this package starts MPI.
"""

from typing import NoReturn

import mpi4py

mpi4py.rc.thread_level = "single"
from mpi4py import MPI  # noqa: E402 - the thread level counts only if it is set before MPI starts

from byzshield.errors import TransportError  # noqa: E402
from byzshield.transport.mpi.ending import end  # noqa: E402
from byzshield.transport.mpi.endpoint import MPIEndpoint  # noqa: E402
from byzshield.transport.mpi.job import has_ended, local_rank, outlives_its_ranks, world_rank, world_size  # noqa: E402

__all__ = ["MPIEndpoint", "end", "has_ended", "local_rank", "outlives_its_ranks", "world_rank", "world_size"]


def _refuse(*_: object) -> NoReturn:
    raise TransportError("pickling over MPI is switched off")


# A Byzantine worker must never be able to make the server unpickle.
MPI.pickle.__init__(dumps=_refuse, loads=_refuse)  # type: ignore[misc]
