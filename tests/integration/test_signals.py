"""A run that is told to end stores what it has."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from byzshield.config import RunConfig, dump
from byzshield.training.checkpoint import latest_checkpoint
from byzshield.training.metrics import read_metrics


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_run_that_is_told_to_end_keeps_its_last_step(
    tiny_run: Callable[..., RunConfig], tmp_path: Path, number: signal.Signals, status: int
) -> None:
    run_file = tmp_path / "run.toml"
    run_file.write_text(dump(tiny_run(run={"steps": 100_000})))
    process = subprocess.Popen(
        [sys.executable, "-m", "byzshield", "simulate", str(run_file)],
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    metrics = tmp_path / "runs" / "tiny" / "metrics.jsonl"
    deadline = time.monotonic() + 60
    while len(read_metrics(metrics)) < 3 and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == status
    assert "Traceback" not in errors
    path = latest_checkpoint(tmp_path / "runs" / "tiny" / "checkpoints")
    assert path is not None
    assert path.name == f"step_{read_metrics(metrics)[-1]['step']}.pt"
