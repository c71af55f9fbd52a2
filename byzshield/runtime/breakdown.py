"""Where the time of a step goes, as the server sees it: the `breakdown` in a line of metrics.jsonl."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from byzshield.training import ParameterServer
from byzshield.wire import Kind, Message, Packet

__all__ = ["ExchangeTimes", "Stopwatch", "breakdown"]


@dataclass(frozen=True, kw_only=True)
class ExchangeTimes:
    """The time from the parameters to the last winner, in seconds; the four parts are all of it.

    Args:
        voting: until the last file was decided, but for what the server did meanwhile with what had come.
        digest: taking votes in: all that the server does about a message with digests.
        fetch: from the last decision on, but for what the server did with what had come.
        decode: taking payloads in: decompressing them, checking them against their digests, putting them into their places.
    """

    voting: float
    digest: float
    fetch: float
    decode: float

    @property
    def total(self) -> float:
        """All of it."""
        return self.voting + self.digest + self.fetch + self.decode


def breakdown(exchange: ExchangeTimes, *, computing: float, aggregate: float, update: float) -> dict[str, float]:
    """Parts of a step that add up to it, in seconds.

    All but "gradient" is the server's own measurement. While it takes in what has come, that counts, whatever the workers do
    meanwhile; so "gradient" is no more than the time in which the server had to wait for votes anyhow, and `compute_seconds_max`
    has all of what was claimed.

    Args:
        exchange: of the step.
        computing: the longest time on gradients that a rank claims, by its own word.
        aggregate: the robust rule.
        update: the optimizer's step, and the count of the step.

    Returns:
        "gradient": waiting for votes, as far as the slowest rank says that it computed; "wait": waiting for votes, the rest, with
        the way of the parameters to the workers and, where files are audited, with those that the server computes; "digest" and
        "decode", where a full exchange has its votes; "fetch": waiting for payloads once all files are decided; "aggregate";
        "update". In a simulation, where nobody waits, the workers' part is in "gradient" and "wait".
    """
    gradient = min(computing, exchange.voting)
    return {
        "gradient": gradient,
        "digest": exchange.digest,
        "wait": exchange.voting - gradient,
        "fetch": exchange.fetch,
        "decode": exchange.decode,
        "aggregate": aggregate,
        "update": update,
    }


class Stopwatch:
    """Measures an exchange, from when it is made on.

    Args:
        server: opens its round after that.
        clock: the time in seconds.
    """

    def __init__(self, server: ParameterServer, clock: Callable[[], float] = time.perf_counter) -> None:
        self._server = server
        self._clock = clock
        self._began = clock()
        self._seconds = {int(Kind.DIGESTS): 0.0, int(Kind.GRADIENT): 0.0}
        self._decisions = 0
        self._decided: float | None = None  # when the last file was
        self._busy_before = 0.0  # seconds on what had come by then

    def receive(self, packet: Packet, now: float) -> list[Message]:
        """Has the server take a message in, which tells the time as `now` in its own clock; returns what to send."""
        began = self._clock()
        outgoing = self._server.receive(packet, now)
        ended = self._clock()
        if packet.tag in self._seconds:
            self._seconds[packet.tag] += ended - began
        if self._server.decisions != self._decisions:
            self._decisions = self._server.decisions
            self._decided, self._busy_before = ended, sum(self._seconds.values())
        return outgoing

    def read(self) -> ExchangeTimes:
        """The times until now."""
        ended, busy = self._clock(), sum(self._seconds.values())
        decided, busy_before = (ended, busy) if self._decided is None else (self._decided, self._busy_before)
        return ExchangeTimes(
            voting=decided - self._began - busy_before,
            digest=self._seconds[Kind.DIGESTS],
            fetch=ended - decided - (busy - busy_before),
            decode=self._seconds[Kind.GRADIENT],
        )
