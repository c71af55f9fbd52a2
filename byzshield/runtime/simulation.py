"""A whole job in one process: the same server and workers, in-process queues, and a clock that never waits."""

from byzshield.errors import TransportError
from byzshield.runtime.builder import Builder
from byzshield.runtime.pump import take_turn
from byzshield.training import ParameterServer
from byzshield.transport import in_process
from byzshield.wire import Frame

__all__ = ["Simulation"]


class Simulation:
    """Runs rounds of a server against workers on simulated ranks.

    Ranks take turns in a fixed order, one file of work at a time. When nobody has anything left to do, the clock jumps to the
    server's next deadline, so a silent worker costs no time. All ranks share one model.

    Args:
        builder: the run; its `num_ranks` decides how many workers share a rank.
    """

    def __init__(self, builder: Builder) -> None:
        self.now = 0.0
        self._endpoints = in_process(builder.num_ranks)
        self._channels = in_process(builder.num_ranks)
        self._workers = {rank: builder.worker(rank, builder.computer) for rank in range(1, builder.num_ranks)}

    def run_round(self, server: ParameterServer) -> None:
        """Plays one round of the server.

        Raises:
            TransportError: the round cannot end, which no peer can bring about.
        """
        self._deliver(server.open_round(self.now))
        while not server.round_done:
            turns = [take_turn(worker, self._endpoints[rank], self._channels[rank]) for rank, worker in self._workers.items()]
            while (packet := self._endpoints[0].receive(server.bounds)) is not None:
                self._deliver(server.receive(packet, self.now))
            if any(active for active, _ in turns) or server.round_done:
                continue
            deadline = server.next_deadline()
            if deadline is None:
                raise TransportError("nothing is left to wait for, and yet the round is not over")
            self.now = max(self.now, deadline)
            self._deliver(server.tick(self.now))

    def _deliver(self, outgoing: list[tuple[int, Frame]]) -> None:
        for rank, frame in outgoing:
            self._endpoints[0].send(rank, frame.kind, frame.encoded)
