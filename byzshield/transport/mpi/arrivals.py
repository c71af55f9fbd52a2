"""What has arrived over one communicator: matched at once, whoever sent it, and handed out sender by sender."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from mpi4py import MPI

from byzshield.transport.mpi.drain import Drain
from byzshield.transport.mpi.lane import Lane
from byzshield.wire import Packet

__all__ = ["DEAD", "Arrivals"]

DEAD: Final = (MPI.ERR_PROC_FAILED, MPI.ERR_PROC_FAILED_PENDING)  # what MPI says under `mpirun --with-ft ulfm`


class Arrivals:
    """Matches all messages of a communicator, and polls the lanes of those who have sent any.

    Open MPI keeps what has arrived and is not matched in memory, without a bound. So all of it is matched, which comes to an end:
    Open MPI lets more come in only when it finds nothing. It is asked for anybody's message, since where processes share cores
    each question that finds nothing gives the core away, and one for each rank would take a turn of all of them.

    Args:
        comm: the communicator; its errors must be returned.
        lanes: one for each rank that may send.
        drain: takes what nobody shall hear of.
        charge: is told the size of each message as soon as it is matched; returns whether anybody shall hear of it.
        fail: is told what MPI says of a rank, or of nobody (MPI.ANY_SOURCE); raises unless the rank is dead.
    """

    def __init__(
        self,
        comm: MPI.Comm,
        lanes: Sequence[Lane],
        *,
        drain: Drain,
        charge: Callable[[Lane, int], bool],
        fail: Callable[[MPI.Exception, int], None],
    ) -> None:
        self.comm = comm
        self.lanes = {lane.rank: lane for lane in lanes}
        self._drain = drain
        self._charge = charge
        self._fail = fail
        self._status = MPI.Status()
        self._waiting: deque[Lane] = deque()

    def next(self, bounds: Mapping[int, int]) -> Packet | None:
        """Returns a message that is complete, or None; one lane after the other, so that none keeps another waiting."""
        self._match_all()
        for _ in range(len(self._waiting)):
            lane = self._waiting.popleft()
            try:
                packet = lane.poll(bounds)
            except MPI.Exception as error:
                self._fail(error, lane.rank)
                continue
            if lane.waiting:
                self._waiting.append(lane)
            if packet is not None:
                return packet
        return None

    def _match_all(self) -> None:
        try:
            self._match(MPI.ANY_SOURCE)
        except MPI.Exception as error:
            self._require_a_death(error)
            # Somebody has died, and only asking each tells who; who dies from here on is not acknowledged.
            self._acknowledge()
            for lane in self.lanes.values():
                try:
                    self._match(lane.rank)
                except MPI.Exception as why:
                    self._fail(why, lane.rank)

    def _acknowledge(self) -> None:
        """Has MPI answer for anybody again until the next one dies; if it cannot, each rank is asked every time."""
        try:
            self.comm.Ack_failed()
        except MPI.Exception as error:
            self._require_a_death(error)

    def _require_a_death(self, error: MPI.Exception) -> None:
        if error.Get_error_class() not in DEAD:
            self._fail(error, MPI.ANY_SOURCE)

    def _match(self, source: int) -> None:
        while (message := self.comm.Improbe(source, MPI.ANY_TAG, self._status)) is not None:
            lane = self.lanes[self._status.Get_source()]
            # Not Get_count, which has 31 bits and is negative or undefined for what is longer.
            num_bytes = self._status.Get_elements(MPI.BYTE)
            if lane.dead or not self._charge(lane, num_bytes):
                self._drain.take(message, num_bytes, lane.rank)
                continue
            if not lane.waiting:
                self._waiting.append(lane)
            lane.add(message, self._status.Get_tag(), num_bytes)
