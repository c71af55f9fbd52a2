"""A whole job in one process: the same server and workers, in-process queues, and a clock that never waits."""

from collections.abc import Mapping

from byzshield.errors import TransportError
from byzshield.runtime.breakdown import ExchangeTimes, Stopwatch
from byzshield.runtime.pump import take_turn
from byzshield.training import ParameterServer, Worker
from byzshield.transport import in_process
from byzshield.wire import SERVER_RANK, Message

__all__ = ["Simulation"]


class Simulation:
    """Runs rounds of a server against workers on simulated ranks.

    Ranks take turns in a fixed order, one file of work at a time. When nobody has anything left to do, the clock jumps to the
    server's next deadline, so a silent worker costs no time.

    Args:
        server: the server, at rank SERVER_RANK.
        workers: the workers of each other rank, from 1 without a gap; they may share one model.
    """

    def __init__(self, server: ParameterServer, workers: Mapping[int, Worker]) -> None:
        self.now = 0.0
        self._server = server
        self._workers = workers
        self._endpoints = in_process(len(workers) + 1)
        self._channels = in_process(len(workers) + 1)

    def run_round(self) -> ExchangeTimes:
        """Plays one round of the server, from the parameters to the last winner; returns where the time went.

        Raises:
            TransportError: the round cannot end, which no peer can bring about.
        """
        server, inbox = self._server, self._endpoints[SERVER_RANK]
        stopwatch = Stopwatch(server)
        if server.idle_checks:  # nobody waits here, and before the workers load other parameters, one check costs nothing
            self._deliver(server.check_past(self.now))
        self._deliver(server.open_round(self.now))
        while not server.round_done:
            turns = [take_turn(worker, self._endpoints[rank], self._channels[rank]) for rank, worker in self._workers.items()]
            while (packet := inbox.receive(server.accepts.message_bytes)) is not None:
                self._deliver(stopwatch.receive(packet, self.now))
            if server.busy:
                self._deliver(server.work(self.now))
                continue
            if any(active for active, _ in turns) or server.round_done:
                continue
            deadline = server.next_deadline()
            if deadline is None:
                raise TransportError("nothing is left to wait for, and yet the round is not over")
            self.now = max(self.now, deadline)
            self._deliver(server.tick(self.now))
        return stopwatch.read()

    def _deliver(self, outgoing: list[Message]) -> None:
        for message in outgoing:
            self._endpoints[SERVER_RANK].send(message)
