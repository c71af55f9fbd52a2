"""How a process of an MPI job ends in time, whatever the others do."""

import atexit
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence

from mpi4py import MPI

from byzshield.transport.mpi.job import kill, loaded_library, outlives_its_ranks, world_rank, world_size
from byzshield.wire import SERVER_RANK

__all__ = ["end"]


def end(*, status: int, together: bool, deadline: float, hanging: Sequence[int] = (), at_once: bool = False) -> None:
    """Has this process end with `status` once all of Python is done, or leave MPI at once and go on without it.

    MPI_Finalize waits for all ranks, for ever if one of them hangs. So the server ends the job by force where ranks are known
    to be dead or to hang, or when they have not come to MPI_Finalize by the deadline: under ULFM it has the runtime kill those
    who hang, since MPI_Abort leaves them running there; otherwise MPI_Abort ends them all. A worker's rank then waits for that.

    Args:
        status: the exit status.
        together: whether all ranks are there to end with this one.
        deadline: seconds to wait for the others.
        hanging: at the server, the ranks to kill; mpirun takes it for a failure if one is killed that was about to end.
        at_once: where all ranks are there, leave MPI now; this process ends later, as its program wants.
    """
    if at_once and together:
        _leave_together(status, deadline)
        return

    def last() -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # mpirun sends it to those who wait
        if together:
            _leave_together(status, deadline)
        elif world_rank() == SERVER_RANK or outlives_its_ranks():
            _by_force(status, hanging)
        else:
            time.sleep(deadline)  # without MPI_Finalize, the end of this process would end the server before it is done
        os._exit(status)

    atexit.register(last)


def _leave_together(status: int, deadline: float) -> None:
    watchdog = threading.Timer(deadline, _by_force, [status, range(world_size())])
    watchdog.daemon = True
    watchdog.start()
    _finalize()
    watchdog.cancel()


def _finalize() -> None:
    """MPI_Finalize, without Python's lock, which mpi4py's own keeps from the watchdog until all ranks have come."""
    library = loaded_library("libmpi.so", "MPI_Finalize")
    if library is None:
        MPI.Finalize()
    else:
        library.MPI_Finalize()


def _by_force(status: int, hanging: Sequence[int]) -> None:
    if world_rank() == SERVER_RANK:
        kill([rank for rank in hanging if rank != SERVER_RANK])
        if not outlives_its_ranks():
            MPI.COMM_WORLD.Abort(status)
    os._exit(status)
