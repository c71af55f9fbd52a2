"""A message that never comes to its end costs its sender its place, and nobody else anything."""

from collections.abc import Callable, Mapping

import pytest

from byzshield.config import RunConfig
from byzshield.runtime import Builder, pump
from byzshield.runtime.pump import Patience
from byzshield.transport import InProcessEndpoint, in_process
from byzshield.wire import messages


def test_a_message_has_its_time_from_its_own_beginning() -> None:
    patience = Patience(2.0)
    patience.resume(10.0)
    assert patience.exhausted({1: 0, 2: 7}, 10.0) == []
    assert patience.exhausted({1: 0, 2: 8}, 11.5) == []  # rank 2 has ended one and begun the next
    assert patience.exhausted({1: 0, 2: 8}, 12.5) == [1]
    assert patience.exhausted({2: 8}, 13.0) == []
    assert patience.exhausted({1: 1, 2: 8}, 14.0) == [2]


def test_time_in_which_the_server_computes_does_not_count() -> None:
    patience = Patience(2.0)
    patience.resume(0.0)
    assert patience.exhausted({1: 0}, 0.0) == []
    for began in (100.0, 200.0):
        patience.resume(began)
        assert patience.exhausted({1: 0}, began + 0.9) == []
    patience.resume(300.0)
    assert patience.exhausted({1: 0}, 300.3) == [1]


class Stuck(InProcessEndpoint):
    """The server's end, at which a message of rank 2 has begun to arrive."""

    def unfinished(self) -> Mapping[int, int]:
        return {} if 2 in self.lost() else {2: 0}


def test_a_round_goes_on_without_a_rank_whose_message_never_ends(
    tiny_run: Callable[..., RunConfig], caplog: pytest.LogCaptureFixture
) -> None:
    builder = Builder(tiny_run(cluster={"round_timeout": 0.2}), num_ranks=3)
    server, endpoint = builder.server(), in_process(3)[0]
    endpoint.__class__ = Stuck
    pump.run_round(server, endpoint, Patience(0.01))
    assert server.ranks == [1]
    assert "rank 2: a message of it has not come to its end within 0.01 s" in caplog.text


def test_what_an_honest_rank_sends_in_a_step_is_within_its_grant(tiny_run: Callable[..., RunConfig]) -> None:
    for exchange in ("digest", "full"):
        builder = Builder(tiny_run(cluster={"exchange": exchange}), num_ranks=4)
        server, worker = builder.server(), builder.worker(2)
        (news,) = [message for message in server.open_round(0.0) if message.rank == 2]
        ends = in_process(4)
        ends[0].send(news)
        packet = ends[2].receive(worker.accepts.message_bytes)
        assert packet is not None
        sent = worker.receive(packet)
        while worker.busy:
            sent += worker.work()
        while worker.in_debt:
            sent += worker.deliver()
        most, most_bytes = server.most_in_a_step(2)
        files = {(number, file) for number in worker.workers for file in builder.assignment.files_of[number].tolist()}
        if exchange == "digest":  # and then every file is asked for
            for number, file in files:
                ends[0].send(messages.fetch(number, 1, file).to(2))
                packet = ends[2].receive(worker.accepts.message_bytes)
                assert packet is not None
                sent += worker.receive(packet) + (worker.deliver() if worker.in_debt else [])
        assert len(files) < len(sent) <= most
        assert sum(len(message.data) for message in sent) <= most_bytes
