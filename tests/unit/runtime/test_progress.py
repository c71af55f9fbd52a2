"""What people see while a run goes: on a terminal of any width, and without one."""

import fcntl
import io
import os
import pty
import struct
import termios
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import pairwise
from typing import Any

import pytest

from byzshield.runtime.progress import ProgressLine

CLEAR = "\r\x1b[K"


class Clock:
    """Seconds, as many as the test says."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def line(step: int, **more: Any) -> dict[str, Any]:
    return {"step": step, "seconds": 0.2061, "corrupted_files": 3, "undecided_files": 0, "applied": True, "loss": 0.41234, **more}


@contextmanager
def terminal(columns: int) -> Iterator[tuple[Any, Callable[[], str]]]:
    """The end of a real terminal that a program writes to, and a reader of what it shows."""
    reader, writer = pty.openpty()
    fcntl.ioctl(writer, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    os.set_blocking(reader, False)

    def read() -> str:
        parts: list[bytes] = []
        with suppress(BlockingIOError):
            while True:
                parts.append(os.read(reader, 1 << 16))
        return b"".join(parts).decode()

    with os.fdopen(writer, "w") as stream:
        yield stream, read
    os.close(reader)


@pytest.fixture(autouse=True)
def a_capable_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")


BLAMED = {"0": {"payload_mismatch": 1}, "7": {"minority": 2}, "14": {"minority": 1}}


def shown(columns: int, *, steps: int = 300) -> list[str]:
    """What is drawn of the first 30 steps in 60 seconds, one drawing after the other."""
    clock = Clock()
    with terminal(columns) as (stream, read):
        progress = ProgressLine(stream, clock=clock)
        progress.start(at=0, steps=steps)
        for step in range(1, 31):
            clock.now += 2
            progress.advance(line(step, blamed=BLAMED, **({"test_accuracy": 0.934, "test_loss": 0.2} if step == 20 else {})))
        progress.finish()
        return read().split(CLEAR)[1:]


def test_a_wide_terminal_shows_time_left_loss_accuracy_pace_and_proof_apart_from_evidence() -> None:
    *_, last = shown(200)
    assert last == (
        "step 30/300  9 min left  loss 0.412  test accuracy 0.934  0.21 s/step  proven: worker 0; suspected: workers 7, 14\r\n"
    )


def test_a_narrower_one_counts_the_accused_and_then_leaves_out_what_matters_least() -> None:
    assert shown(90)[-1] == "step 30/300  9 min left  loss 0.412  accuracy 0.934  0.21 s/step  1 proven, 2 suspected\r\n"
    assert shown(80)[-1] == "step 30/300  9 min left  loss 0.412  accuracy 0.934  1 proven, 2 suspected\r\n"
    assert shown(60)[-1] == "step 30/300  accuracy 0.934  1 proven, 2 suspected\r\n"


@pytest.mark.parametrize("columns", [20, 33, 47, 64, 79, 100, 140])
def test_no_drawing_is_wider_than_the_terminal(columns: int) -> None:
    drawn = [text.rstrip("\r\n") for text in shown(columns)]
    assert len(drawn) == 31
    assert max(map(len, drawn)) < columns
    assert all(text.startswith("step ") for text in drawn)


def test_what_does_not_fit_in_any_way_is_cut_off() -> None:
    assert shown(20, steps=10**18)[0] == "step 1/100000000000"


def test_a_terminal_is_not_drawn_on_faster_than_anybody_reads() -> None:
    clock = Clock()
    with terminal(80) as (stream, read):
        progress = ProgressLine(stream, clock=clock)
        progress.start(at=0, steps=5000)
        drawn = 0
        for step in range(1, 1001):
            clock.now += 0.001
            progress.advance(line(step))
            drawn += read().count(CLEAR)
        assert 9 <= drawn <= 11


def plain(steps: int, seconds: float, *, tests: dict[int, dict[str, float]]) -> list[str]:
    clock, stream = Clock(), io.StringIO()
    progress = ProgressLine(stream, clock=clock)
    progress.start(at=0, steps=steps)
    for step in range(1, steps + 1):
        clock.now += seconds
        progress.advance(line(step, **tests.get(step, {})))
    progress.finish()
    return stream.getvalue().splitlines()


def test_without_a_terminal_the_first_step_every_evaluation_and_the_last_step_are_a_line_each() -> None:
    first, second, last = plain(30, 0.1, tests={10: {"test_accuracy": 0.5, "test_loss": 1.25}})
    assert first == "step 1 of 30, 6 s left: loss 0.412, 0.21 s a step, 3 files corrupted, 0 undecided"
    assert second.endswith("0 undecided, test accuracy 0.500, test loss 1.250")
    assert last == "step 30 of 30: loss 0.412, 0.21 s a step, 3 files corrupted, 0 undecided; last test accuracy 0.500"


def test_without_a_terminal_lines_come_every_five_seconds_and_later_every_minute() -> None:
    steps = [int(text.split()[1]) for text in plain(4 * 3600, 1.0, tests={})]
    assert steps[:4] == [1, 6, 11, 16]
    distances = [later - earlier for earlier, later in pairwise(steps)]
    assert max(distances) == 60
    assert len(steps) < 450


def test_a_task_without_an_accuracy_shows_what_it_has() -> None:
    found = {"test_loss": 0.5, "test_mean_squared_error": 0.0123}
    assert plain(3, 0.1, tests={2: found})[-1].endswith("; last test mean squared error 0.0123")


def test_a_resumed_run_knows_what_was_before() -> None:
    clock, stream = Clock(), io.StringIO()
    progress = ProgressLine(stream, clock=clock)
    progress.start(at=2, steps=4, lines=[line(1, blamed=BLAMED), line(2, test_accuracy=0.75)])
    progress.advance(line(3))
    assert stream.getvalue().endswith("; last test accuracy 0.750; proven: worker 0; suspected: workers 7, 14\n")


def test_time_left_counts_what_happens_between_steps() -> None:
    clock, stream = Clock(), io.StringIO()
    progress = ProgressLine(stream, clock=clock)
    progress.start(at=0, steps=11)
    progress.advance(line(1))
    clock.now = 30.0  # an evaluation took most of it
    progress.advance(line(2))
    assert stream.getvalue().splitlines()[-1].startswith("step 2 of 11, 4 min left: ")


def test_a_stream_that_is_full_or_closed_does_not_end_a_run() -> None:
    survived = False
    with suppress(OSError), open("/dev/full", "w") as full:  # which complains once more when it is closed
        _train(full)
        survived = True
    assert survived
    closed = io.StringIO()
    progress = ProgressLine(closed)
    closed.close()
    progress.start(at=0, steps=1)
    progress.advance(line(1))


def _train(stream: Any) -> None:
    progress = ProgressLine(stream)
    progress.start(at=0, steps=1)
    progress.advance(line(1))
    progress.finish()


def test_the_epoch_is_shown_where_there_is_room() -> None:
    with terminal(100) as (wide, read_wide), terminal(40) as (narrow, read_narrow):
        plain = io.StringIO()
        for stream in (wide, narrow, plain):
            progress = ProgressLine(stream, clock=Clock())
            progress.start(at=0, steps=9)
            progress.advance(line(5, epoch=2))
        assert "step 5/9  epoch 2  0.82 s left  loss 0.412" in read_wide()
        assert "step 5/9  0.82 s left  loss 0.412" in read_narrow()
        assert plain.getvalue().startswith("step 5 of 9, 0.82 s left: loss 0.412, epoch 2, ")
