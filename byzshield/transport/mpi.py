"""Messages between ranks over MPI: bytes only, point to point, every size known before it is received."""

import atexit
import os
import sys
from collections.abc import Mapping
from typing import Any, Final, NoReturn

import mpi4py

mpi4py.rc.thread_level = "single"
from mpi4py import MPI  # noqa: E402 - the thread level counts only if it is set before MPI starts

from byzshield.errors import TransportError  # noqa: E402
from byzshield.wire import Message, Packet  # noqa: E402

__all__ = ["MPIEndpoint", "end_without_finalize", "finalize", "world_rank", "world_size"]

_DEAD: Final = (MPI.ERR_PROC_FAILED, MPI.ERR_PROC_FAILED_PENDING)
EAGER_BYTES: Final = 1 << 16  # messages up to this size have arrived already when they are probed


def _refuse(*_: object) -> NoReturn:
    raise TransportError("pickling over MPI is switched off")


# A Byzantine worker must never be able to make the server unpickle.
MPI.pickle.__init__(dumps=_refuse, loads=_refuse)  # type: ignore[misc]


class MPIEndpoint:
    """One rank's end of a duplicate of MPI_COMM_WORLD.

    Constructing it is collective: every rank makes its endpoints in the same order.
    """

    def __init__(self) -> None:
        self._comm = MPI.COMM_WORLD.Dup()
        self._comm.Set_errhandler(MPI.ERRORS_RETURN)
        self.rank: int = self._comm.Get_rank()
        self.size: int = self._comm.Get_size()
        self._status = MPI.Status()
        self._sending: dict[int, list[tuple[Any, bytes]]] = {}
        self._lost: set[int] = set()
        self.refused = False  # whether a message was left unreceived, so that MPI_Finalize would wait for its sender

    def send(self, message: Message) -> None:
        """Starts sending; the buffer is kept until MPI is done with it. A message to a dead rank is dropped."""
        rank = message.rank
        if rank in self._lost:
            return
        try:
            request = self._comm.Isend((message.data, MPI.BYTE), dest=rank, tag=message.tag)
        except MPI.Exception as error:
            self._note_failure(error, rank)
            return
        self._sending.setdefault(rank, []).append((request, message.data))
        self._reap(rank)

    def receive(self, bounds: Mapping[int, int]) -> Packet | None:
        """Probes for any message, and receives it if its size is within the bound of its tag."""
        try:
            message = self._comm.Improbe(MPI.ANY_SOURCE, MPI.ANY_TAG, self._status)
        except MPI.Exception as error:
            self._note_failure(error, None)
            return None
        if message is None:
            return None
        source, tag = self._status.Get_source(), self._status.Get_tag()
        num_bytes = self._status.Get_count(MPI.BYTE)
        accepted = num_bytes <= bounds.get(tag, -1)
        if not accepted and num_bytes > EAGER_BYTES:
            # Matched and never received: its bytes stay with the sender. (Open MPI 5.0 has been seen to write past the end
            # of a buffer that is shorter than the message, so a truncated receive is no way to be rid of it.)
            self.refused = True
            return Packet(source=source, tag=tag, data=None, num_bytes=num_bytes)
        data = bytearray(num_bytes)
        try:
            message.Recv((data, MPI.BYTE))
        except MPI.Exception as error:
            self._note_failure(error, source)
            return None
        return Packet(source=source, tag=tag, data=data if accepted else None, num_bytes=num_bytes)

    def backlog(self, rank: int) -> int:
        """Messages to `rank` that MPI has not handed over yet."""
        self._reap(rank)
        return len(self._sending.get(rank, ()))

    def lost(self) -> frozenset[int]:
        """Ranks that MPI has reported as failed (under `mpirun --with-ft ulfm`)."""
        return frozenset(self._lost)

    def _reap(self, rank: int) -> None:
        try:
            self._sending[rank] = [entry for entry in self._sending.get(rank, ()) if not entry[0].Test()]
        except MPI.Exception as error:
            self._note_failure(error, rank)

    def _note_failure(self, error: MPI.Exception, rank: int | None) -> None:
        if error.Get_error_class() not in _DEAD:
            raise TransportError(f"MPI failed: {error.Get_error_string()}") from error
        if rank is not None:
            self._lost.add(rank)
            self._sending.pop(rank, None)
            return
        if hasattr(self._comm, "Ack_failed"):
            self._comm.Ack_failed()
            group = self._comm.Get_failed()
            everyone = self._comm.Get_group()
            self._lost.update(MPI.Group.Translate_ranks(group, list(range(group.Get_size())), everyone))


def world_rank() -> int:
    """This process's rank in MPI_COMM_WORLD."""
    return MPI.COMM_WORLD.Get_rank()


def world_size() -> int:
    """Processes in MPI_COMM_WORLD."""
    return MPI.COMM_WORLD.Get_size()


def finalize() -> None:
    """Ends MPI at this rank; waits until all ranks do so."""
    MPI.Finalize()


def end_without_finalize(*, by_force: bool, status: int = 0) -> None:
    """Makes this process skip MPI_Finalize, which waits for ranks that are dead or hang, once all of Python is done.

    Args:
        by_force: call MPI_Abort, which ends the ranks that hang (not under `--with-ft ulfm`, where each rank ends by itself).
        status: the exit status.
    """

    def end() -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        if by_force:
            MPI.COMM_WORLD.Abort(status)
        os._exit(status)

    atexit.register(end)
