"""The parts of a step's time: what counts as which, and that they add up."""

from collections.abc import Callable
from typing import Any

import pytest

from byzshield.config import RunConfig
from byzshield.runtime import simulate
from byzshield.runtime.breakdown import Stopwatch, breakdown
from byzshield.runtime.metrics import read_metrics
from byzshield.wire import Kind, Packet


class Server:
    """Takes as long over a message as the test says, and decides a file by those of which it says so."""

    decisions = 0

    def __init__(self) -> None:
        self.now = 100.0
        self.seconds, self.decides = 0.0, False

    def receive(self, packet: Packet, now: float) -> list[Any]:
        self.now += self.seconds
        self.decisions += self.decides
        return []


def play(*events: tuple[float, Kind, float, bool]) -> dict[str, float]:
    """The breakdown of messages (seconds before it, kind, seconds that it takes, whether it decides) and a second behind them."""
    server = Server()
    stopwatch = Stopwatch(server, clock=lambda: server.now)  # type: ignore[arg-type]
    for waited, kind, server.seconds, server.decides in events:
        server.now += waited
        stopwatch.receive(Packet(source=1, tag=kind, data=b"", num_bytes=0), 0.0)
    server.now += 1.0
    return breakdown(stopwatch.read(), computing=5.0, aggregate=0.25, update=0.125)


def test_what_the_server_does_and_what_it_waits_for_are_told_apart() -> None:
    parts = play(
        (4.0, Kind.DIGESTS, 0.5, False),
        (3.0, Kind.DIGESTS, 0.5, True),
        (2.0, Kind.GRADIENT, 0.25, False),
        (0.0, Kind.DIGESTS, 0.5, True),
        (8.0, Kind.GRADIENT, 0.25, False),
        (0.0, Kind.DIGESTS, 0.5, False),  # too late to decide anything
    )
    expected = {"gradient": 5.0, "digest": 2.0, "wait": 4.0, "fetch": 9.0, "decode": 0.5, "aggregate": 0.25, "update": 0.125}
    assert parts == expected


def test_nobody_has_computed_for_longer_than_the_server_waited() -> None:
    parts = play((2.0, Kind.GRADIENT, 1.0, True))
    assert (parts["gradient"], parts["wait"], parts["fetch"]) == (2.0, 0.0, 1.0)


def test_without_a_decision_all_waiting_is_for_votes() -> None:
    parts = play((2.0, Kind.DIGESTS, 1.0, False), (3.0, Kind.HELLO, 1.0, False))
    assert (parts["gradient"], parts["wait"], parts["digest"], parts["fetch"]) == (5.0, 2.0, 1.0, 0.0)


@pytest.mark.parametrize("exchange", ["digest", "full"])
def test_the_parts_of_a_step_add_up_to_it(tiny_run: Callable[..., RunConfig], exchange: str) -> None:
    directory, _ = simulate(tiny_run(cluster={"exchange": exchange}))
    for line in read_metrics(directory.metrics):
        parts = line["breakdown"]
        assert list(parts) == ["gradient", "digest", "wait", "fetch", "decode", "aggregate", "update"]
        assert min(parts.values()) >= 0
        assert sum(parts.values()) == pytest.approx(line["seconds"], abs=0.01)
        assert (parts["digest"] > 0) is (exchange == "digest")
