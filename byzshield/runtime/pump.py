"""Moves bytes between a transport and the state machines of `training`, and tells them the time."""

import time

from byzshield.errors import TransportError
from byzshield.runtime.idling import Idler
from byzshield.training import ParameterServer, Worker
from byzshield.transport import Endpoint
from byzshield.wire import Frame, Kind

__all__ = ["run_round", "stop_workers", "work_until_stopped"]

MOST_WAITING = 8  # messages that a rank may leave untaken before it gets no more parameters


def run_round(server: ParameterServer, endpoint: Endpoint) -> None:
    """Plays one round of the server, from the parameters to the last winner."""
    _send(endpoint, server.open_round(time.monotonic()))
    idler = Idler()
    while not server.round_done:
        packet = endpoint.receive(server.bounds)
        now = time.monotonic()
        if packet is not None:
            idler.wake()
            _send(endpoint, server.receive(packet, now))
        else:
            for rank in endpoint.lost():
                _send(endpoint, server.lose(rank, now))
        deadline = server.next_deadline()
        if deadline is not None and now >= deadline:
            _send(endpoint, server.tick(now))
        if packet is None:
            idler.rest()


def stop_workers(server: ParameterServer, endpoint: Endpoint, *, timeout: float) -> list[int]:
    """Ends training at every rank; returns those that did not say goodbye in time."""
    _send(endpoint, server.stop())
    ends = time.monotonic() + timeout
    idler = Idler()
    while set(server.ranks) - set(server.goodbyes) - endpoint.lost() and time.monotonic() < ends:
        packet = endpoint.receive(server.bounds)
        if packet is None:
            idler.rest()
        else:
            server.receive(packet, time.monotonic())
    return sorted(set(server.ranks) - set(server.goodbyes))


def work_until_stopped(worker: Worker, endpoint: Endpoint, channel: Endpoint | None, *, patience: float) -> None:
    """Plays the workers of one rank until the server ends training.

    Args:
        worker: the workers.
        endpoint: to the server; messages from any other rank are dropped.
        channel: the adversary's own.
        patience: seconds of silence after which the server is given up.

    Raises:
        TransportError: the server is silent for too long.
    """
    idler = Idler()
    heard = time.monotonic()
    while not worker.stopped:
        active = False
        while (packet := endpoint.receive(worker.bounds)) is not None:
            if packet.source != 0:
                continue
            heard, active = time.monotonic(), True
            for tag, data in worker.receive(packet):
                endpoint.send(0, tag, data)
        if channel is not None and worker.adversary is not None:
            while (packet := channel.receive(worker.adversary.bounds)) is not None:
                active = True
                for tag, data in worker.receive_from_accomplice(packet):
                    endpoint.send(0, tag, data)
        if worker.busy:
            active = True
            for tag, data in worker.work():
                endpoint.send(0, tag, data)
        if channel is not None:
            send_to_accomplices(worker, channel)
        if active:
            idler.wake()
        elif time.monotonic() - heard > patience:
            raise TransportError(f"the server has been silent for {patience:g} s")
        else:
            idler.rest()


def send_to_accomplices(worker: Worker, channel: Endpoint) -> bool:
    """Empties the adversary's outbox into its channel; returns whether there was anything in it."""
    if worker.adversary is None or not worker.adversary.outbox:
        return False
    outbox, worker.adversary.outbox = worker.adversary.outbox, []
    for rank, frame in outbox:
        channel.send(rank, frame.kind, frame.encoded)
    return True


def _send(endpoint: Endpoint, outgoing: list[tuple[int, Frame]]) -> None:
    for rank, frame in outgoing:
        if frame.kind is Kind.PARAMETERS and endpoint.backlog(rank) > MOST_WAITING:
            continue  # a rank that takes nothing must not fill the server's memory; it can catch up later
        endpoint.send(rank, frame.kind, frame.encoded)
