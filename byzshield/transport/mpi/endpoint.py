"""One rank's end of an MPI job."""

from collections.abc import Iterable, Mapping
from typing import Final

from mpi4py import MPI

from byzshield.errors import TransportError
from byzshield.reuse import Reused
from byzshield.transport.mpi.arrivals import DEAD, Arrivals
from byzshield.transport.mpi.drain import Drain
from byzshield.transport.mpi.job import kill
from byzshield.transport.mpi.lane import Lane
from byzshield.transport.mpi.outgoing import Outgoing
from byzshield.transport.mpi.unmatched import Unmatched
from byzshield.wire import SERVER_RANK, Message, Packet

__all__ = ["MPIEndpoint"]

UNWANTED_EVERY: Final = 8  # calls that find nothing, after which one looks for what nobody wants
MOST_BUFFERS: Final = 8  # of long messages that are kept for the next
LEAST_KEPT: Final = 1 << 16  # bytes of a message for which a buffer is worth keeping
# Messages of a rank, unmatched or never ending, for which it is given up; and so many more once it is.
MOST_LEFT: Final = 100_000


class MPIEndpoint:
    """One rank's end of a duplicate of MPI_COMM_WORLD, which hears nobody before it is told to.

    Constructing it is collective: every rank makes its endpoints in the same order.
    """

    def __init__(self) -> None:
        self._comm = MPI.COMM_WORLD.Dup()
        self._comm.Set_errhandler(MPI.ERRORS_RETURN)
        self.rank: int = self._comm.Get_rank()
        self.size: int = self._comm.Get_size()
        # At the server, a message is sent when its rank has taken it, so that none gathers in a buffer on the way.
        self._start = self._comm.Issend if self.rank == SERVER_RANK else self._comm.Isend
        self._sending: dict[int, Outgoing] = {}
        self._lost: dict[int, str] = {}
        self._credit: dict[int, tuple[int, int]] = {}
        self._drain = Drain()
        self._buffers = Reused(bytearray, most=MOST_BUFFERS, least=LEAST_KEPT)
        self._own = self._over(self._comm)
        self._others: list[Arrivals] = []
        self._hears = False
        self._unmatched = Unmatched([self._comm])
        self._out_of_reach: dict[int, int] = {}  # how many messages of a lost rank were left over when it was lost
        self._idle = 0

    def hear(self, ranks: Iterable[int]) -> None:
        """From now on returns what these ranks send."""
        for rank, lane in self._own.lanes.items():
            lane.heard = rank in ranks and rank not in self._lost
        self._hears = any(lane.heard for lane in self._own.lanes.values())

    def watch(self, *others: "MPIEndpoint") -> None:
        """From now on takes in, as refused, what comes over MPI_COMM_WORLD and the endpoints named, which nobody else polls."""
        more = [MPI.COMM_WORLD, *(other._comm for other in others)]
        self._others += map(self._over, more)
        self._unmatched = Unmatched([self._comm, *more])

    def send(self, message: Message) -> None:
        """Starts sending; the buffer is kept until MPI is done with it. A message to a rank that is lost is dropped."""
        rank = message.rank
        if rank in self._lost:
            return
        try:
            request = self._start((message.data, MPI.BYTE), dest=rank, tag=message.tag)
        except MPI.Exception as error:
            self._note_failure(error, rank)
            return
        self._sending.setdefault(rank, Outgoing()).add(request, message.data)

    def receive(self, bounds: Mapping[int, int]) -> Packet | None:
        """Returns what those have sent who are heard, in turn; looks now and then for what nobody wants."""
        self._drain.go_on()
        if self._hears and (packet := self._own.next(bounds)) is not None:
            return packet
        # Not after each message that is sent, and of one rank: a test that finds nothing gives the core away to all who want it.
        if self._sending:
            rank = next(iter(self._sending))
            self._reap(rank)
            if rank in self._sending:
                self._sending[rank] = self._sending.pop(rank)
        self._idle = (self._idle + 1) % UNWANTED_EVERY
        if self._idle != 0:
            return None
        for arrivals in self._others if self._hears else (self._own, *self._others):
            if (packet := arrivals.next(bounds)) is not None:
                self._idle = -1  # there may be more
                return packet
        self._check_left_over()
        return None

    def grant(self, rank: int, messages: int, num_bytes: int, *, most: int = 1) -> None:
        """Lets `rank` send so much more, over all communicators together; without a grant there is no limit.

        A rank that sends more is lost. What is left of earlier grants counts up to `most` of this one.
        """
        left = self._credit.get(rank, (0, 0))
        self._credit[rank] = min(left[0] + messages, most * messages), min(left[1] + num_bytes, most * num_bytes)

    def cut_off(self, rank: int, reason: str) -> None:
        """Gives up a rank: nothing of it is heard any more, and the runtime is asked to kill it."""
        if rank in self._lost:
            return
        self._lost[rank] = reason
        self._credit.pop(rank, None)
        for lane in self._lanes:
            if lane.rank == rank:
                lane.close()
        kill([rank])

    def unfinished(self) -> dict[int, int]:
        """The ranks that are heard whose next message has begun to arrive, and how many each had sent before."""
        return {rank: lane.taken for rank, lane in self._own.lanes.items() if lane.heard and lane.unfinished}

    def backlog(self, rank: int, *, beyond: int = 0) -> int:
        """Messages to `rank` that it has not taken, at the server; elsewhere, that MPI has not handed over yet."""
        if len(self._sending.get(rank, ())) > beyond:
            self._reap(rank)
        return len(self._sending.get(rank, ()))

    def held(self, rank: int, *, beyond: int = 0) -> int:
        """Bytes of the messages to `rank` that it has not taken, at the server; elsewhere, that MPI has not handed over yet."""
        if rank in self._sending and self._sending[rank].num_bytes > beyond:
            self._reap(rank)
        return self._sending[rank].num_bytes if rank in self._sending else 0

    def lost(self) -> Mapping[int, str]:
        """Ranks that MPI has reported as failed (under `mpirun --with-ft ulfm`) or that were cut off."""
        return self._lost

    @property
    def settled(self) -> bool:
        """Whether nothing is on its way in."""
        return self._drain.empty and not any(lane.unfinished for lane in self._lanes)

    @property
    def _lanes(self) -> Iterable[Lane]:
        return (lane for arrivals in (self._own, *self._others) for lane in arrivals.lanes.values())

    def _over(self, comm: MPI.Comm) -> Arrivals:
        lanes = [Lane(rank, self._drain, self._buffers) for rank in range(self.size) if rank != self.rank]
        return Arrivals(comm, lanes, drain=self._drain, charge=self._charge, fail=self._note_failure)

    def _charge(self, lane: Lane, num_bytes: int) -> bool:
        """Counts a message, and returns whether the caller shall hear of it: of one too many, but of none after it."""
        if lane.rank not in self._credit:
            return lane.heard
        messages, most_bytes = self._credit[lane.rank]
        self._credit[lane.rank] = messages - 1, most_bytes - num_bytes
        if min(self._credit[lane.rank]) < 0:
            self.cut_off(lane.rank, "it has sent more than an honest rank ever would")
        return True

    def _check_left_over(self) -> None:
        """Cuts off ranks whose messages stay here, since no receive can take them or they never end.

        Of those to which it grants what they send, the server counts the former as it counts others.

        Raises:
            TransportError: such a rank lives on, and its messages with it; or it is the server, of which no worker can be rid.
        """
        for rank, count in enumerate(self._unmatched.counts()):
            left = count + self._drain.unfinished[rank]
            most = MOST_LEFT + (self._out_of_reach.setdefault(rank, left) if rank in self._lost else 0)
            if rank in self._credit and count > self._credit[rank][0]:
                self.cut_off(rank, f"it has sent {count} messages that no receive can take")
            elif left > most and rank != SERVER_RANK and rank not in self._lost:
                self.cut_off(rank, f"it has sent {left} messages that no receive can take or that never end")
            elif left > most:
                raise TransportError(
                    f"rank {rank} fills this process's memory with messages that no receive can take or that never end, and the "
                    "runtime has not ended it; start the job again with --resume, without its host"
                )

    def _reap(self, rank: int) -> None:
        try:
            self._sending[rank].reap()
        except MPI.Exception as error:
            self._note_failure(error, rank)
            return
        if not self._sending[rank]:
            del self._sending[rank]

    def _note_failure(self, error: MPI.Exception, rank: int) -> None:
        if error.Get_error_class() not in DEAD:
            raise TransportError(f"MPI failed: {error.Get_error_string()}") from error
        self._lost.setdefault(rank, "its process is dead")
        self._sending.pop(rank, None)
        for lane in self._lanes:
            lane.dead = lane.dead or lane.rank == rank
