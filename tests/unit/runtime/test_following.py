"""A run as another process sees it: lines as they come, a file that another takes the place of, and the end in all its forms."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from byzshield.config import RunConfig
from byzshield.errors import ConfigError
from byzshield.runtime.directory_lock import LOCK_NAME, is_in_use
from byzshield.runtime.following import Following
from byzshield.runtime.metrics import MetricsLog, MetricsTail
from byzshield.runtime.run_directory import RunDirectory, open_run

Maker = Callable[..., RunConfig]


def text(*steps: int) -> str:
    return "".join(json.dumps({"step": step, "seconds": 0.1}) + "\n" for step in steps)


def read(tail: MetricsTail) -> tuple[bool, list[int]]:
    afresh, lines = tail.read()
    return afresh, [line["step"] for line in lines]


def test_lines_are_read_once_each_and_only_when_they_are_whole(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    tail = MetricsTail(path)
    assert read(tail) == (True, [])
    assert read(tail) == (False, [])
    path.write_text(text(1, 2) + '{"step": 3')
    assert read(tail) == (False, [1, 2])
    with open(path, "a") as file:
        file.write(', "seconds": 0.1}\n' + text(4))
    assert read(tail) == (False, [3, 4])
    assert read(tail) == (False, [])


def test_a_file_that_was_cut_back_or_begun_anew_is_read_from_its_start(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text(text(1, 2, 3))
    tail = MetricsTail(path)
    assert read(tail) == (True, [1, 2, 3])
    resumed = MetricsLog(path, resumed_at=2)
    for step in (3, 4, 5):
        resumed.write({"step": step, "seconds": 0.25})  # longer than before, and with other lines where we have read to
    resumed.close()
    assert read(tail) == (True, [1, 2, 3, 4, 5])
    path.unlink()
    assert read(tail) == (True, [])
    path.write_text(text(1))
    assert read(tail) == (False, [1])


def test_damaged_lines_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(text(1).encode() + b"\0\0\0\n[]\n" + text(2).encode())
    assert read(MetricsTail(path)) == (True, [1, 2])


@pytest.fixture
def running(tiny_run: Maker) -> RunDirectory:
    """The directory of a run that a job of this process holds."""
    return open_run(tiny_run(), resume=False, overwrite=False)


def test_a_run_goes_on_while_a_job_holds_it_and_ends_with_its_summary(running: RunDirectory) -> None:
    following = Following(running.path)
    following.look()
    assert (following.ending, following.standing.step, following.standing.steps) == (None, 0, 4)
    running.metrics.write_text(text(1))
    following.look()
    assert (following.ending, following.standing.step, following.lines) == (None, 1, [{"step": 1, "seconds": 0.1}])
    running.write_summary({"status": "failed", "reason": "the model diverged"})
    following.look()
    assert following.ending is not None
    assert (following.ending.status, following.ending.reason) == ("failed", "the model diverged")
    running.release()


def test_a_run_that_nobody_holds_and_that_left_no_summary_was_killed(running: RunDirectory) -> None:
    running.metrics.write_text(text(1))
    running.release()
    following = Following(running.path)
    following.look()
    assert following.ending is not None
    assert following.ending.status == "killed"
    assert following.ending.reason.endswith("; it has no checkpoint")
    running.checkpoints.mkdir()
    (running.checkpoints / "step_1.pt").touch()
    following.look()
    assert following.ending.reason.endswith("; --resume goes on from step 1")


def test_a_lock_that_another_host_has_left_says_nothing(running: RunDirectory) -> None:
    """Where a share is mounted without locks, its holder's cannot be seen from here."""
    running.release()
    (running.path / LOCK_NAME).write_text("process 1 on another-host\n")
    assert is_in_use(running.path) is None
    (running.path / LOCK_NAME).unlink()
    assert is_in_use(running.path) is None
    following = Following(running.path)
    following.look()
    assert following.ending is None


def test_looking_keeps_no_job_out(running: RunDirectory, tiny_run: Maker) -> None:
    running.release()
    assert is_in_use(running.path) is False
    again = open_run(tiny_run(), resume=True, overwrite=False)
    assert is_in_use(running.path) is True
    again.release()


def test_silence_is_told_once_in_a_while(running: RunDirectory) -> None:
    now = [0.0]
    following = Following(running.path, clock=lambda: now[0])
    following.look()
    for now[0], told in ((59.0, False), (60.0, True), (100.0, False), (120.0, True)):
        following.look()
        assert following.falls_silent(60.0) is told
        assert following.silent_seconds == now[0]
    running.metrics.write_text(text(1))
    following.look()
    assert following.silent_seconds == 0
    running.release()


def test_a_directory_that_is_gone_ends_it(running: RunDirectory) -> None:
    following = Following(running.path)
    following.look()
    running.release()
    for path in running.path.iterdir():
        path.unlink()
    running.path.rmdir()
    with pytest.raises(ConfigError, match="not a run's directory"):
        following.look()


@pytest.mark.parametrize("content", ["[]", "{", "\udcff"])
def test_a_summary_that_no_run_writes_is_one_sentence(running: RunDirectory, content: Any) -> None:
    running.summary.write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(ConfigError, match=r"summary\.json"):
        Following(running.path).look()
    running.release()
