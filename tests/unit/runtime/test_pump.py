"""How a worker's rank takes its turns, and how it ends."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from itertools import chain, repeat
from typing import ClassVar

import numpy as np
import pytest

from byzshield.config import RunConfig
from byzshield.errors import TransportError
from byzshield.planning import memory
from byzshield.runtime import Builder, pump
from byzshield.training import Worker
from byzshield.transport import InProcessEndpoint, in_process
from byzshield.wire import HEADER_BYTES, ArrayEncoder, Kind, Message, Packet, messages


def test_a_dismissal_that_comes_right_after_the_stop_is_not_lost(tiny_run: Callable[..., RunConfig]) -> None:
    builder = Builder(tiny_run())
    worker = builder.worker(1)
    server, endpoint = in_process(2)
    channel = in_process(2)[1]
    server.send(messages.stop().to(1))
    server.send(messages.dismiss(complete=True).to(1))
    pump.work_until_stopped(worker, endpoint, channel, patience=1.0)
    assert worker.stopped
    assert pump.await_dismissal(endpoint, channel, timeout=1.0) is True


def test_a_rank_that_has_nothing_to_do_any_more_waits_as_long_as_it_hears_of_the_steps(
    tiny_run: Callable[..., RunConfig],
) -> None:
    class Told(InProcessEndpoint):
        """A rank that hears every now and then that its workers are expelled, and after some time of the end."""

        news: ClassVar = [messages.expelled([0])] * 10 + [messages.stop()]
        heard = time.monotonic()

        def receive(self, bounds: Mapping[int, int]) -> Packet | None:
            if time.monotonic() < self.heard + 0.04:
                return None
            self.heard = time.monotonic()
            message = self.news.pop(0).to(1)
            return Packet(source=0, tag=message.tag, data=message.data, num_bytes=len(message.data))

    worker = Builder(tiny_run(), num_ranks=16).worker(1)
    endpoint = in_process(2)[1]
    endpoint.__class__ = Told
    pump.work_until_stopped(worker, endpoint, in_process(2)[1], patience=0.2)
    assert worker.stopped


class Asking:
    """A server whose rounds are over at once, and send one rank what they are told to."""

    ranks: ClassVar = [1]
    round_done = True

    def __init__(self, sent: Iterator[list[Message]]) -> None:
        self.sent = sent

    def most_in_a_step(self, rank: int) -> tuple[int, int]:
        return 20, 1000

    def num_workers_on(self, rank: int) -> int:
        return 1

    def open_round(self, now: float) -> list[Message]:
        return next(self.sent)


def test_requests_to_a_rank_that_takes_nothing_do_not_gather() -> None:
    server = Asking(repeat([messages.stop().to(1)] + [messages.compute(0, 1, file).to(1) for file in range(50)]))
    endpoint, rank = in_process(2)
    for _ in range(100):
        pump.run_round(server, endpoint, pump.Patience(1.0))  # type: ignore[arg-type]
    assert endpoint.backlog(1) == pump.MOST_WAITING + 20 + 1
    while rank.receive({}) is not None:
        pass
    pump.run_round(server, endpoint, pump.Patience(1.0))  # type: ignore[arg-type]
    assert endpoint.backlog(1) > 0


def test_parameters_reach_a_rank_on_which_requests_wait_and_do_not_gather_at_one_that_takes_nothing() -> None:
    requests = [messages.compute(0, 1, file).to(1) for file in range(pump.MOST_WAITING + 20)]  # as many as a link may hold up
    parameters = (messages.parameters(step, np.zeros(100, np.float32), ArrayEncoder("off")).to(1) for step in range(2, 101))
    server = Asking(chain([requests], ([each] for each in parameters)))
    endpoint, rank = in_process(2)
    endpoint.__class__ = Slow
    for _ in range(100):
        pump.run_round(server, endpoint, pump.Patience(1.0))  # type: ignore[arg-type]
    tags = []
    while (packet := rank.receive({int(kind): 1000 for kind in Kind})) is not None:
        tags.append(packet.tag)
    assert pump.MOST_WAITING <= tags.count(Kind.PARAMETERS) <= pump.MOST_WAITING + 20


class Slow(InProcessEndpoint):
    """An end of a link on which all stays in its own memory that the other end has not taken."""

    def held(self, rank: int, *, beyond: int = 0) -> int:
        return sum(len(message.data) for source, message in self._queues[rank] if source == self.rank)


class ASlowLink:
    """All workers on one rank, in the first step, and a server that takes what it is told to take."""

    def __init__(self, builder: Builder) -> None:
        self.worker: Worker = builder.worker(1)
        self.server, self.end = in_process(2)
        self.end.__class__ = Slow
        self.channel = in_process(2)[1]
        self.most = memory.most_held(self.worker.payload_bytes)
        self.server.send(messages.parameters(1, builder.model().parameter_vector(), ArrayEncoder("off")).to(1))

    def turn(self) -> bool:
        active, _ = pump.take_turn(self.worker, self.end, self.channel)
        assert self.held <= self.most + self.worker.payload_bytes + 100 * HEADER_BYTES
        return active

    @property
    def held(self) -> int:
        return self.end.held(0)

    def take(self) -> Packet | None:
        return self.server.receive(messages.accepted_by_server(self.worker._layout).message_bytes)


class TestARankWhoseServerTakesNothing:
    @pytest.fixture(autouse=True)
    def _small_payloads(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(memory, "SMALL", 0)

    @pytest.mark.parametrize("attack", [{}, {"name": "alie", "num_byzantine": 3}])
    def test_holds_three_gradients_and_computes_no_further(
        self, tiny_run: Callable[..., RunConfig], attack: dict[str, object]
    ) -> None:
        link = ASlowLink(Builder(tiny_run(cluster={"exchange": "full"}, attack=attack)))
        for _ in range(40):
            link.turn()
        assert not link.turn()  # and leaves the core to others
        assert 2 * link.worker.payload_bytes < link.held
        assert link.worker.busy

    def test_goes_on_when_it_is_taken_and_nothing_is_missing(self, tiny_run: Callable[..., RunConfig]) -> None:
        link = ASlowLink(Builder(tiny_run(cluster={"exchange": "full"})))
        copies = Counter[tuple[int, int]]()
        accepts = messages.accepted_by_server(link.worker._layout)
        while link.turn() or link.held:
            if (packet := link.take()) is not None:
                frame = accepts.open(packet)
                copies[frame.worker, frame.file] += 1
        assert len(copies) == 15 * 5
        assert set(copies.values()) == {link.worker._layout.num_chunks}

    def test_computes_while_the_last_gradient_is_on_its_way(self, tiny_run: Callable[..., RunConfig]) -> None:
        link = ASlowLink(Builder(tiny_run(cluster={"exchange": "full"}), num_ranks=16))
        link.turn()
        assert link.held
        assert link.turn()
        assert link.held > link.worker.payload_bytes + 100

    def test_answers_requests_for_gradients_one_by_one(self, tiny_run: Callable[..., RunConfig]) -> None:
        builder = Builder(tiny_run())
        link = ASlowLink(builder)
        while link.turn() or link.held:
            link.take()
        for file, holders in enumerate(builder.assignment.workers_of.tolist()):
            link.server.send(messages.fetch(holders[0], 1, file).to(1))
        asked = Counter[int]()
        while link.turn() or link.held:
            if (packet := link.take()) is not None:
                asked[packet.tag] += 1
        assert asked == {Kind.GRADIENT: builder.assignment.num_files * link.worker._layout.num_chunks}

    def test_hears_of_the_next_step_and_drops_the_rest_of_this_one(self, tiny_run: Callable[..., RunConfig]) -> None:
        builder = Builder(tiny_run(cluster={"exchange": "full"}))
        link = ASlowLink(builder)
        for _ in range(40):
            link.turn()
        link.server.send(messages.parameters(2, builder.model().parameter_vector(), ArrayEncoder("off")).to(1))
        assert link.turn()
        assert link.worker.step == 2
        assert not link.worker.in_debt

    def test_hears_the_stop(self, tiny_run: Callable[..., RunConfig]) -> None:
        link = ASlowLink(Builder(tiny_run(cluster={"exchange": "full"})))
        for _ in range(40):
            link.turn()
        link.server.send(messages.stop().to(1))
        link.turn()
        assert link.worker.stopped
        assert not link.worker.in_debt

    def test_gives_a_silent_server_up_in_time(self, tiny_run: Callable[..., RunConfig]) -> None:
        link = ASlowLink(Builder(tiny_run(cluster={"exchange": "full"})))
        with pytest.raises(TransportError, match=r"the server has been silent for 0\.2 s"):
            pump.work_until_stopped(link.worker, link.end, link.channel, patience=0.2)
        assert link.worker.busy


class AChannel:
    """A rank of accomplices in the first step, and a channel on which what it sends stays until somebody takes it."""

    def __init__(self, builder: Builder, rank: int) -> None:
        self.worker: Worker = builder.worker(rank)
        self.server, self.end = in_process(2)
        self.channels = in_process(max(builder.rank_of) + 1)
        self.rank, self.channel = rank, self.channels[rank]
        self.channel.__class__ = Slow
        self.most = memory.most_held(self.worker.payload_bytes)
        self.model = builder.model().parameter_vector()
        self.begin(1)

    def begin(self, step: int) -> None:
        self.server.send(messages.parameters(step, self.model, ArrayEncoder("off")).to(1))

    def turn(self) -> bool:
        active, _ = pump.take_turn(self.worker, self.end, self.channel)
        return active

    def held_for(self, rank: int) -> int:
        return self.channel.held(rank)

    def take(self, rank: int) -> Packet | None:
        assert self.worker.adversary is not None
        return self.channels[rank].receive(self.worker.adversary.accepts.message_bytes)


class TestAnAccompliceWhoseLeaderTakesNothing:
    """Workers 0, 5 and 11; the rank of worker 0 leads."""

    ATTACK: ClassVar = {"name": "alie", "num_byzantine": 3, "selection": "fixed", "workers": [0, 5, 11]}

    @pytest.fixture(autouse=True)
    def _small_payloads(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(memory, "SMALL", 0)

    def test_holds_three_gradients_for_it_and_computes_no_further(self, tiny_run: Callable[..., RunConfig]) -> None:
        link = AChannel(Builder(tiny_run(attack=self.ATTACK), num_ranks=16), 6)
        for _ in range(40):
            link.turn()
            assert link.held_for(1) <= link.most + link.worker.payload_bytes + 10 * HEADER_BYTES
        assert link.held_for(1) > link.most
        assert not link.turn()  # and leaves the core to others
        assert not link.worker.busy

    def test_goes_on_when_it_is_taken_and_nothing_is_missing(self, tiny_run: Callable[..., RunConfig]) -> None:
        link = AChannel(Builder(tiny_run(attack=self.ATTACK), num_ranks=16), 6)
        assert link.worker.adversary is not None
        files = Counter[int]()
        while link.turn() or link.held_for(1):
            if (packet := link.take(1)) is not None:
                files[link.worker.adversary.accepts.open(packet).file] += 1
        assert len(files) == 8  # a third of 25
        assert set(files.values()) == {1}

    def test_computes_and_votes_for_the_honest_workers_on_its_rank(self, tiny_run: Callable[..., RunConfig]) -> None:
        builder = Builder(tiny_run(attack=self.ATTACK), num_ranks=4)
        link = AChannel(builder, 2)
        for _ in range(60):
            link.turn()
        accepts = messages.accepted_by_server(link.worker._layout)
        voted = set()
        while (packet := link.server.receive(accepts.message_bytes)) is not None:
            voted.add(accepts.open(packet).worker)
        assert voted == {6, 7, 8, 9}
        assert link.held_for(1) <= link.most + link.worker.payload_bytes + 10 * HEADER_BYTES

    def test_drops_the_rest_with_the_next_step_and_holds_no_more_after_many(self, tiny_run: Callable[..., RunConfig]) -> None:
        link = AChannel(Builder(tiny_run(attack=self.ATTACK), num_ranks=16), 6)
        for step in range(2, 30):
            for _ in range(5):
                link.turn()
            link.begin(step)
        assert link.held_for(1) <= link.most + link.worker.payload_bytes + 10 * HEADER_BYTES
        assert link.worker.adversary is not None
        assert len(link.worker.adversary.outbox) <= 1

    def test_a_leader_holds_no_more_for_one_who_takes_nothing_and_goes_on(self, tiny_run: Callable[..., RunConfig]) -> None:
        builder = Builder(tiny_run(attack={**self.ATTACK, "num_byzantine": 2, "workers": [0, 5]}), num_ranks=4)
        leader, other = AChannel(builder, 1), AChannel(builder, 2)
        for step in range(2, 8):
            for _ in range(40):
                other.turn()
                while (packet := other.take(1)) is not None:
                    assert packet.data is not None
                    leader.channels[2].send(Message(rank=1, tag=packet.tag, data=bytes(packet.data)))
                leader.turn()
            assert leader.held_for(2) <= leader.most + leader.worker.payload_bytes + 25 * 4 + 10 * HEADER_BYTES
            assert leader.worker.adversary is not None
            assert leader.worker.adversary.forged(0) is not None
            assert not leader.worker.busy
            leader.begin(step)
            other.begin(step)
