"""A run that is told to end stores what it has."""

import contextlib
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from checkpoints import latest_checkpoint
from polling import wait_for

from byzshield.config import RunConfig, dump
from byzshield.runtime import Builder, loop
from byzshield.runtime.interrupts import postpone_signals
from byzshield.runtime.metrics import read_metrics
from byzshield.runtime.run_directory import open_run
from byzshield.runtime.simulation import Simulation


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGUSR1, 143)])
def test_a_run_that_is_told_to_end_keeps_its_last_step(
    tiny_run: Callable[..., RunConfig], tmp_path: Path, number: signal.Signals, status: int
) -> None:
    run_file = tmp_path / "run.toml"
    run_file.write_text(dump(tiny_run(run={"steps": 100_000})))
    metrics = tmp_path / "runs" / "tiny" / "metrics.jsonl"
    command = [sys.executable, "-m", "byzshield", "simulate", str(run_file)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]) as process:
        try:
            wait_for(lambda: len(read_metrics(metrics)) >= 3, "3 steps")
            process.send_signal(number)
            _, errors = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == status
    assert "Traceback" not in errors
    path = latest_checkpoint(tmp_path / "runs" / "tiny" / "checkpoints")
    assert path is not None
    step = read_metrics(metrics)[-1]["step"]
    assert path.name == f"step_{step}.pt"
    assert "--resume goes on from" in errors


@pytest.fixture
def sigterm_exits() -> Iterator[None]:
    """SIGTERM raises SystemExit, as in the program."""
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize("moment", ["close_round", "evaluate"])
@pytest.mark.usefixtures("sigterm_exits")
def test_a_step_is_recorded_whole_or_not_at_all(
    tiny_run: Callable[..., RunConfig], monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    config = tiny_run(run={"eval_every": 1})
    builder = Builder(config, num_ranks=2)
    server, directory = builder.server(), open_run(config, resume=False, overwrite=False)
    simulation = Simulation(server, {1: builder.worker(1)})
    owner: Any = server if moment == "close_round" else sys.modules[Builder.__module__]
    original = getattr(owner, moment)

    def interrupted(*arguments: Any, **keywords: Any) -> Any:
        if server.step == (1 if moment == "close_round" else 2):  # close_round is what moves the step on
            signal.raise_signal(signal.SIGTERM)
        return original(*arguments, **keywords)

    monkeypatch.setattr(owner, moment, interrupted)
    with pytest.raises(SystemExit):
        loop.train(builder, server, simulation.run_round, directory, loop.Silent(), lambda: False)
    lines = read_metrics(directory.metrics)
    assert [line["step"] for line in lines] == [1, 2]
    assert ["test_accuracy" in line for line in lines] == [True, False]
    path = latest_checkpoint(directory.checkpoints)
    assert path is not None
    assert path.name == "step_2.pt"


@pytest.mark.usefixtures("sigterm_exits")
def test_a_signal_acts_at_the_end_of_the_block_that_postpones_it() -> None:
    done = []
    with pytest.raises(SystemExit), postpone_signals() as postponed:  # noqa: PT012 - what follows the signal is the point
        signal.raise_signal(signal.SIGTERM)
        done.append("after the signal")
        with contextlib.suppress(SystemExit), postponed.delivered():
            done.append("never")
        signal.raise_signal(signal.SIGTERM)
        done.append("held again")
    assert done == ["after the signal", "held again"]


@pytest.mark.usefixtures("sigterm_exits")
def test_a_handler_that_a_signal_has_changed_stays_so() -> None:
    def once(number: int, _: object) -> None:
        signal.signal(number, signal.SIG_IGN)  # as the program does: a second SIGTERM must not disturb the last checkpoint
        sys.exit(143)

    signal.signal(signal.SIGTERM, once)
    with pytest.raises(SystemExit), postpone_signals() as postponed, postponed.delivered():
        signal.raise_signal(signal.SIGTERM)
    signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
