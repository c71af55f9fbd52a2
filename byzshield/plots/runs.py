"""Runs as a report sees them: settings, how they ended, and what was measured step by step."""

import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final

__all__ = [
    "COMPLETE",
    "FAILED",
    "KILLED",
    "PENDING",
    "REFUSED",
    "RESULTS",
    "RUNNING",
    "STOPPED",
    "UNFINISHED",
    "Run",
]

COMPLETE: Final = "complete"
FAILED: Final = "failed"
STOPPED: Final = "stopped"
REFUSED: Final = "refused"  # impossible, as a cell of a sweep may be
UNFINISHED: Final = "unfinished"  # it has begun: it goes on somewhere, or was killed
RUNNING: Final = "running"
KILLED: Final = "killed"
PENDING: Final = "pending"
RESULTS: Final = "results.json"  # what makes a folder that of a sweep
OF_LINES: Final = ("best_accuracy", "train_loss", "corrupted_files", "step_seconds", "last_step")


@dataclass(frozen=True, kw_only=True)
class Run:
    """A run of which anything is known.

    Args:
        name: its directory's name.
        settings: its configuration by dotted key; of a sweep's cell, the entry of each axis.
        status: how it ended, if it has.
        reason: why it did not end well.
        sweep: the sweep whose cell it is.
        facts: its configuration, and, stronger, its summary.
        lines: of metrics.jsonl.
        config: its configuration by dotted key; empty of a cell that has not begun.
        path: its directory; None without one.
    """

    name: str
    settings: Mapping[str, Any]
    status: str = COMPLETE
    reason: str = ""
    sweep: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    lines: list[dict[str, Any]] = field(default_factory=list)
    config: Mapping[str, Any] = field(default_factory=dict)
    path: Path | None = None

    @property
    def seed(self) -> int | None:
        """Of everything random."""
        return self.facts.get("seed")

    @property
    def accuracy(self) -> list[tuple[int, float]]:
        """(step, test accuracy) of each evaluation."""
        return self.series("test_accuracy")

    @property
    def final_accuracy(self) -> float | None:
        """Of a complete run."""
        return _finite(self.facts.get("test_accuracy")) if self.status == COMPLETE else None

    @property
    def final_loss(self) -> float | None:
        """On the test set, of a complete run."""
        return _finite(self.facts.get("test_loss")) if self.status == COMPLETE else None

    @cached_property
    def best_accuracy(self) -> float | None:
        """The best of all evaluations of a complete run."""
        final = self.final_accuracy
        return None if final is None else max([final, *(accuracy for _, accuracy in self.accuracy)])

    @cached_property
    def train_loss(self) -> float | None:
        """Of a complete run, the mean over the last tenth of its steps; None if it grew beyond all numbers."""
        losses = [line.get("loss") for line in self.lines]
        late = [_finite(loss) for loss in losses[-max(1, len(losses) // 10) :]]
        finite = [loss for loss in late if loss is not None]
        return statistics.fmean(finite) if self.status == COMPLETE and finite and len(finite) == len(late) else None

    @cached_property
    def corrupted_files(self) -> int | None:
        """The most in any step."""
        found = self._of_steps("corrupted_files_max")
        return (
            max((line["corrupted_files"] for line in self.lines if "corrupted_files" in line), default=None)
            if found is None
            else found
        )

    @cached_property
    def step_seconds(self) -> float | None:
        """The median over the steps."""
        return _median(self.lines, "seconds", self._of_steps("step_seconds_median"))

    @property
    def bytes_received(self) -> float | None:
        """By the server in a step; the median."""
        return _median(self.lines, "bytes_received", self._of_steps("server_bytes_received_per_step"))

    @cached_property
    def last_step(self) -> int:
        """The newest step of which there is a line; 0 before the first."""
        return max((line["step"] for line in self.lines if isinstance(line.get("step"), int)), default=0)

    @property
    def bytes_sent(self) -> float | None:
        """By the server in a step; the median."""
        return _median(self.lines, "bytes_sent", self._of_steps("server_bytes_sent_per_step"))

    def _of_steps(self, key: str) -> Any:
        """What summary.json says of its steps; None if there was none."""
        return self.facts.get(key) if self.facts.get("steps") != 0 else None

    def without_lines(self) -> "Run":
        """The run with what its lines come to, and no lines: of a thousand runs at once, these would be gigabytes."""
        bare = replace(self, lines=[])
        for name in OF_LINES:
            vars(bare)[name] = getattr(self, name)
        return bare

    def series(self, key: str) -> list[tuple[int, float]]:
        """(step, value) of each line that has a finite number under `key`."""
        found = ((line.get("step"), _finite(line.get(key))) for line in self.lines)
        return [(step, value) for step, value in found if isinstance(step, int) and value is not None]


def _finite(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _median(lines: list[dict[str, Any]], key: str, known: Any) -> float | None:
    values = [value for value in (_finite(line.get(key)) for line in lines) if value is not None]
    return known if known is not None else statistics.median(values) if values else None
