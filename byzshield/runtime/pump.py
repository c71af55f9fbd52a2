"""Moves bytes between a transport and the state machines of `training`, and tells them the time."""

import time
from collections.abc import Mapping
from typing import Final

from byzshield.errors import TransportError
from byzshield.planning.memory import most_held
from byzshield.runtime.backoff import Backoff
from byzshield.runtime.breakdown import ExchangeTimes, Stopwatch
from byzshield.runtime.compression_trial import CompressionTrial
from byzshield.training import Adversary, ParameterServer, Worker
from byzshield.transport import Endpoint
from byzshield.wire import HEADER_BYTES, SERVER_RANK, Kind, Message, messages

__all__ = ["Patience", "await_dismissal", "run_round", "stop_workers", "take_turn", "work_until_stopped"]

DISMISSAL_SECONDS: Final = 2.0  # for the last message to be taken
MOST_WAITING: Final = 8  # messages that a rank may leave untaken before it gets no more parameters
# A rank may send so many times what an honest one does in a step, for attacks that say everything several times and are to be
# outvoted, not cut off; and so many bytes more a worker, for those that send what is too long. What it has not sent adds up over
# more steps than it can be behind.
SLACK: Final = 16
SLACK_BYTES: Final = 64 << 20
MOST_STEPS: Final = MOST_WAITING + 2
LOOK_UP_EVERY: Final = 64  # messages that are read one after the other, before the server looks who is late


class Patience:
    """Says whose message has begun to arrive and does not come to its end.

    Only time in which the server listens counts: while it computes, nothing can arrive.

    Args:
        seconds: to wait for one message.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._listened = 0.0
        self._now = 0.0
        self._began: dict[int, tuple[int, float]] = {}

    def resume(self, now: float) -> None:
        """The server listens again."""
        self._now = now

    def exhausted(self, unfinished: Mapping[int, int], now: float) -> list[int]:
        """Takes what is unfinished, as `Endpoint.unfinished` says it, and returns the ranks that had time enough."""
        self._listened += now - self._now
        self._now = now
        before, self._began = self._began, {}
        for rank, number in unfinished.items():
            known = before.get(rank, (-1, 0.0))
            self._began[rank] = known if known[0] == number else (number, self._listened)
        return [rank for rank, (_, began) in self._began.items() if self._listened - began > self.seconds]


def run_round(
    server: ParameterServer, endpoint: Endpoint, patience: Patience, trial: CompressionTrial | None = None
) -> ExchangeTimes:
    """Plays one round of the server, from the parameters to the last winner; returns where the time went."""
    if trial is not None:
        server.encoder.follow(trial.begin_step())
    stopwatch = Stopwatch(server)
    patience.resume(time.monotonic())
    most_waiting = {}
    for rank in server.ranks:
        messages_a_step, bytes_a_step = server.most_in_a_step(rank)
        most_waiting[rank] = MOST_WAITING + messages_a_step
        most_bytes = SLACK * bytes_a_step + SLACK_BYTES * server.num_workers_on(rank)
        endpoint.grant(rank, SLACK * messages_a_step, most_bytes, most=MOST_STEPS)

    def send(outgoing: list[Message]) -> None:
        # A rank that takes nothing must not fill the server's memory; it can catch up later.
        for message in outgoing:
            most = most_waiting.get(message.rank, 0)
            if message.tag == Kind.PARAMETERS:
                # By their bytes: requests that wait on a bad link keep no rank from hearing of the next step.
                most_bytes = MOST_WAITING * len(message.data) + most * HEADER_BYTES
                has_room = endpoint.held(message.rank, beyond=most_bytes) <= most_bytes
            else:
                has_room = endpoint.backlog(message.rank, beyond=most) <= most
            if has_room:
                endpoint.send(message)

    send(server.open_round(time.monotonic()))
    backoff, read_on = Backoff(), 0
    while not server.round_done:
        packet = endpoint.receive(server.accepts.message_bytes)
        now = time.monotonic()
        if packet is not None:
            backoff.reset()
            send(stopwatch.receive(packet, now))
        else:
            for rank in patience.exhausted(endpoint.unfinished(), now):
                endpoint.cut_off(rank, f"a message of it has not come to its end within {patience.seconds:g} s")
            for rank, reason in list(endpoint.lost().items()):
                send(server.lose(rank, now, reason))
        read_on = 0 if packet is None else read_on + 1
        if read_on % LOOK_UP_EVERY == 0:
            # What has come is read first, or a flood would make the others late; but who sends for ever is cut off.
            deadline = server.next_deadline()
            if deadline is not None and now >= deadline + (0.0 if packet is None else patience.seconds):
                send(server.tick(now))
        if packet is None and (server.busy or server.idle_checks):  # it checks files while it would wait
            send(server.work(now) if server.busy else server.check_past(now))
            patience.resume(time.monotonic())
        elif packet is None:
            backoff.wait()
    times = stopwatch.read()
    if trial is not None:
        trial.end_step(times.total)
    return times


def stop_workers(server: ParameterServer, endpoint: Endpoint, *, timeout: float) -> list[int]:
    """Ends training at every rank; returns those that did not say goodbye in time."""
    _send(endpoint, server.stop())
    ends = time.monotonic() + timeout
    backoff = Backoff()
    while set(server.ranks) - set(server.goodbyes) - endpoint.lost().keys() and time.monotonic() < ends:
        packet = endpoint.receive(server.accepts.message_bytes)
        if packet is None:
            backoff.wait()
        else:
            server.receive(packet, time.monotonic())
    missing = sorted(set(server.ranks) - set(server.goodbyes))
    news = messages.dismiss(complete=not missing and not endpoint.lost())
    for rank in server.ranks:
        endpoint.send(news.to(rank))
    ends = time.monotonic() + DISMISSAL_SECONDS
    while any(endpoint.backlog(rank) for rank in set(server.goodbyes) - endpoint.lost().keys()) and time.monotonic() < ends:
        backoff.wait()  # or the end of this process would take the news with it
    return missing


def await_dismissal(endpoint: Endpoint, channel: Endpoint, *, timeout: float) -> bool:
    """At a worker's rank, after its goodbye: returns whether all ranks end together, so that MPI can be finalized."""
    accepts = messages.accepted_at_the_end()
    ends = time.monotonic() + timeout
    backoff = Backoff()
    while time.monotonic() < ends:
        channel.receive({})  # what an accomplice still sends must not keep it waiting
        packet = endpoint.receive(accepts.message_bytes)
        if packet is None:
            backoff.wait()
        elif packet.source == SERVER_RANK and packet.data is not None:
            return accepts.open(packet).file == 1
    return False


def work_until_stopped(worker: Worker, endpoint: Endpoint, channel: Endpoint, *, patience: float) -> None:
    """Plays the workers of one rank until the server ends training.

    Args:
        worker: the workers.
        endpoint: to the server.
        channel: the adversary's own.
        patience: seconds of silence after which the server is given up.

    Raises:
        TransportError: the server is silent for too long.
    """
    backoff = Backoff()
    heard = time.monotonic()
    while not worker.stopped:
        active, from_server = take_turn(worker, endpoint, channel)
        if from_server:
            heard = time.monotonic()
        if active:
            backoff.reset()
        elif time.monotonic() - heard > patience:
            raise TransportError(f"the server has been silent for {patience:g} s")
        else:
            backoff.wait()


def take_turn(worker: Worker, endpoint: Endpoint, channel: Endpoint) -> tuple[bool, bool]:
    """Lets the workers of one rank take all messages, compute one file, and send what comes of it.

    Messages of any rank but the server's are dropped: a worker's bytes never reach another worker, except among accomplices.
    What the server has not taken stays in memory: as long as it is much, nothing is computed and no more gradients are sent.
    As long as an accomplice has not taken much, it gets no more, and nothing is computed that would be for it.

    Returns:
        whether anything was done, and whether the server was heard.
    """
    active = from_server = False
    # What follows STOP is for `await_dismissal`.
    while not worker.stopped and (packet := endpoint.receive(worker.accepts.message_bytes)) is not None:
        if packet.source == SERVER_RANK:
            active = from_server = True
            _send(endpoint, worker.receive(packet))
            _deliver(worker, endpoint)
    adversary = worker.adversary
    _send(endpoint, worker.lose_accomplices(channel.lost().keys()))
    bounds = adversary.accepts.message_bytes if adversary is not None else {}
    while (packet := channel.receive(bounds)) is not None:
        active = True
        _send(endpoint, worker.receive_from_accomplice(packet))
        _deliver(worker, endpoint)
    active |= _deliver(worker, endpoint)
    if worker.busy and _has_room(worker, endpoint):
        active = True
        _send(endpoint, worker.work())
        _deliver(worker, endpoint)
    if adversary is not None:
        active |= _send_to_accomplices(adversary, channel, most_held(worker.payload_bytes))
    return active, from_server


def _deliver(worker: Worker, endpoint: Endpoint) -> bool:
    """Sends gradients that the server is to get, as long as it takes them; returns whether it has sent any."""
    delivered = False
    while worker.in_debt and _has_room(worker, endpoint):
        _send(endpoint, worker.deliver())
        delivered = True
    return delivered


def _send_to_accomplices(adversary: Adversary, channel: Endpoint, most: int) -> bool:
    """Sends what there is for those of whom no more than `most` bytes wait here; returns whether there was anything."""
    outbox, adversary.outbox = adversary.outbox, []
    for message in outbox:
        if channel.held(message.rank, beyond=most) <= most:
            channel.send(message)
        else:
            adversary.outbox.append(message)
    adversary.congested = bool(adversary.outbox)
    return len(adversary.outbox) < len(outbox)


def _has_room(worker: Worker, endpoint: Endpoint) -> bool:
    most = most_held(worker.payload_bytes)
    return endpoint.held(SERVER_RANK, beyond=most) <= most


def _send(endpoint: Endpoint, outgoing: list[Message]) -> None:
    for message in outgoing:
        endpoint.send(message)
