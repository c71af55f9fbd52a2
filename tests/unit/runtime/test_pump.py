"""How a worker's rank ends."""

from collections.abc import Callable
from typing import ClassVar

from byzshield.config import RunConfig
from byzshield.runtime import Builder, pump
from byzshield.transport import in_process
from byzshield.wire import Message, messages


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


def test_requests_to_a_rank_that_takes_nothing_do_not_gather() -> None:
    class Asking:
        """A server whose rounds are over at once, behind fifty requests."""

        ranks: ClassVar = [1]
        round_done = True

        def most_in_a_step(self, rank: int) -> tuple[int, int]:
            return 20, 1000

        def num_workers_on(self, rank: int) -> int:
            return 1

        def open_round(self, now: float) -> list[Message]:
            return [messages.stop().to(1)] + [messages.compute(0, 1, file).to(1) for file in range(50)]

    endpoint, rank = in_process(2)
    for _ in range(100):
        pump.run_round(Asking(), endpoint, pump.Patience(1.0))  # type: ignore[arg-type]
    assert endpoint.backlog(1) == pump.MOST_WAITING + 20 + 1
    while rank.receive({}) is not None:
        pass
    pump.run_round(Asking(), endpoint, pump.Patience(1.0))  # type: ignore[arg-type]
    assert endpoint.backlog(1) > 0
