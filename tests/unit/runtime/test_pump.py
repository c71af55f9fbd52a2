"""How a worker's rank ends."""

from collections.abc import Callable

from byzshield.config import RunConfig
from byzshield.runtime import Builder, pump
from byzshield.transport import in_process
from byzshield.wire import messages


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
