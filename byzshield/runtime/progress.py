"""How far a run has come, on stderr: one line that is drawn again and again, or plain lines where there is no terminal."""

import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any, Final, Protocol, TextIO

from byzshield.log import FRESH, can_redraw
from byzshield.runtime.standing import Standing
from byzshield.runtime.wording import duration, evaluations, in_words, number, workers

__all__ = ["Progress", "ProgressLine", "Silent", "as_line"]

REDRAW_SECONDS: Final = 0.1
PLAIN_SECONDS: Final = (5.0, 60.0)  # between two plain lines without an evaluation: at first, and after an hour
NARROWEST: Final = 20  # columns; a terminal that says less, or nothing, has not been told its size
USUAL_WIDTH: Final = 80


class Progress(Protocol):
    """Is told how far training has come."""

    def start(self, *, at: int, steps: int, lines: Iterable[Mapping[str, Any]] = ()) -> None:
        """Training begins after step `at` of `steps`; `lines` are those of the steps before, of metrics.jsonl."""

    def advance(self, line: Mapping[str, Any]) -> None:
        """A step is done; `line` is its line of metrics.jsonl."""

    def finish(self) -> None:
        """Training is over, one way or the other."""


class Silent:
    """Progress that is not shown."""

    def start(self, *, at: int, steps: int, lines: Iterable[Mapping[str, Any]] = ()) -> None:
        """Does nothing."""

    def advance(self, line: Mapping[str, Any]) -> None:
        """Does nothing."""

    def finish(self) -> None:
        """Does nothing."""


class ProgressLine:
    """Steps, time left, loss, what the newest evaluation found, time of a step, and who is accused.

    On a terminal it is one line, as wide as the terminal at most. Elsewhere lines follow each other: for the first step, for
    each evaluation, and in between one every 5 seconds at first and every minute after an hour. Nothing that happens to the
    stream (a full disk, a terminal that is gone) disturbs the run.

    Args:
        stream: where to show it; None takes stderr.
        clock: seconds since some moment.
    """

    def __init__(self, stream: TextIO | None = None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._clock = clock
        self._terminal = can_redraw(self._stream)
        self._standing: Standing | None = None
        self._began = self._shown = 0.0
        self._first: tuple[float, int] | None = None  # the end of the first step here, from which on the others are timed

    def start(self, *, at: int, steps: int, lines: Iterable[Mapping[str, Any]] = ()) -> None:
        """Takes in what has been; shows nothing yet."""
        self._standing = Standing(at=at, steps=steps, lines=lines)
        self._began, self._shown, self._first = self._clock(), -float("inf"), None

    def advance(self, line: Mapping[str, Any]) -> None:
        """Takes in a step, and shows it unless it follows too soon."""
        assert self._standing is not None, "start comes first"
        self._standing.add(line)
        now = self._clock()
        self._first = self._first or (now, self._standing.step)
        due = self._shown + (REDRAW_SECONDS if self._terminal else self._pause(now))
        if now >= due or evaluations(line) or self._standing.step == self._standing.steps:
            self.show()

    def show(self, note: str = "") -> None:
        """Shows how things stand now.

        Args:
            note: what else there is to say.
        """
        assert self._standing is not None, "start comes first"
        self._shown = now = self._clock()
        if self._terminal:
            self._write(FRESH + _one_line(self._standing, self._left(now), note, self._width()))
        else:
            self._write(as_line(self._standing, self._left(now), note) + "\n")

    def finish(self) -> None:
        """Leaves the last line as it is, up to date."""
        if self._terminal and self._standing is not None:
            self.show()
            self._write("\n")
        self._standing = None

    def _pause(self, now: float) -> float:
        least, most = PLAIN_SECONDS
        return min(most, max(least, (now - self._began) / 60))

    def _left(self, now: float) -> float | None:
        """Seconds to the end at the pace since the first step here, evaluations and all."""
        assert self._standing is not None
        if self._first is None or self._standing.step == self._first[1]:
            return self._standing.seconds_left
        return (now - self._first[0]) / (self._standing.step - self._first[1]) * (self._standing.steps - self._standing.step)

    def _width(self) -> int:
        columns = 0
        with suppress(OSError, ValueError):
            columns = os.get_terminal_size(self._stream.fileno()).columns
        return columns if columns >= NARROWEST else USUAL_WIDTH

    def _write(self, text: str) -> None:
        with suppress(OSError, ValueError):  # the latter if it is closed
            self._stream.write(text)
            self._stream.flush()


def as_line(standing: Standing, left: float | None, note: str = "") -> str:
    """How a run stands: its newest line in words, the newest evaluation, and the accused.

    Args:
        standing: what its lines come to.
        left: seconds to the end; None if nobody knows.
        note: what else there is to say.
    """
    facts = [in_words(standing.line)] if standing.line else []
    if standing.evaluated and not evaluations(standing.line):
        facts.append(f"last {_evaluated(standing)}")
    for verdict, accused in zip(("proven", "suspected"), standing.accused(), strict=True):
        facts += [f"{verdict}: {workers(accused)}"] if accused else []
    facts += [note] if note else []
    head = f"step {standing.step} of {standing.steps}"
    if left:
        head += f", {duration(left)} left"
    return f"{head}: {'; '.join(facts)}" if facts else head


def _one_line(standing: Standing, left: float | None, note: str, width: int) -> str:
    """A line for a terminal; where that is narrow, workers are only counted, and then the least important goes first."""
    proven, suspected = standing.accused()
    named = (("proven", proven), ("suspected", suspected))
    counts = ", ".join(f"{len(accused)} {verdict}" for verdict, accused in named if accused)
    facts = {
        "step": f"step {standing.step}/{standing.steps}",
        "epoch": f"epoch {standing.line['epoch']}" if "epoch" in standing.line else "",
        "note": note,
        "left": f"{duration(left)} left" if left else "",
        "loss": "" if standing.loss is None else f"loss {number(standing.loss)}",
        "evaluated": _evaluated(standing),
        "pace": "" if standing.step_seconds is None else f"{duration(standing.step_seconds)}/step",
        "accused": "; ".join(f"{verdict}: {workers(accused)}" for verdict, accused in named if accused),
    }
    shorter = [{"accused": counts}, {"evaluated": _evaluated(standing).removeprefix("test ")}, {"pace": ""}, {"left": ""}]
    for change in ({}, {"epoch": ""}, *shorter, {"loss": ""}, {"evaluated": ""}, {"accused": ""}):
        facts.update(change)
        text = "  ".join(filter(None, facts.values()))
        if len(text) < width:  # a full last column would wrap on some terminals
            return text
    return text[: width - 1]


def _evaluated(standing: Standing) -> str:
    """The newest test accuracy, or whatever the task has in its place; its loss if it has nothing else."""
    found = {name: value for name, value in standing.evaluated.items() if name != "loss"} or standing.evaluated
    return next((f"test {name} {number(value)}" for name, value in found.items()), "")
