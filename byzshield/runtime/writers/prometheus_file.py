"""A text file that Prometheus' node exporter collects: how a run stands."""

import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from byzshield.causes import CAUSES
from byzshield.runtime.standing import Standing
from byzshield.runtime.writers.writer import Line, numbers_of
from byzshield.storage import parts_of, write_text

__all__ = ["PrometheusFile"]

WRITE_SECONDS: Final = 5.0  # least time between two writes; a collector comes by every 15 seconds or so
COUNTED: Final = {
    "bytes_received": "Bytes that the server has received.",
    "bytes_sent": "Bytes that the server has sent.",
    "undecided_files": "Files of which no vote won.",
}


class PrometheusFile:
    """Gauges of the newest step and counters over all steps, labeled with the run's name; the file is whole at any time.

    Args:
        path: the file; the node exporter reads those that end in .prom.
        lines: those that the run goes on from.
        run: the run's name.
        steps: of the whole run.
        clock: the time of day in seconds.

    Raises:
        StorageError: it cannot be written.

    Reference: Prometheus' exposition formats, text-based format 0.0.4.
    """

    def __init__(
        self, path: Path, lines: Sequence[Line], *, run: str, steps: int, clock: Callable[[], float] = time.time
    ) -> None:
        self._path, self._clock = path, clock
        self._run = re.sub(r'[\\"]', r"\\\g<0>", run)
        self._standing = Standing(at=0, steps=steps)
        self._newest: dict[str, float] = {}
        self._sums: Counter[str] = Counter()
        self._taken = 0
        self._stepped = clock()
        self._take(lines)
        for part in parts_of(path):
            part.unlink(missing_ok=True)
        self._store()

    def write(self, lines: Sequence[Line], *, ended: bool = False) -> None:
        """Replaces the file, unless it is too new."""
        if len(lines) > self._taken:
            self._stepped = self._clock()
            self._take(lines)
        if ended or self._clock() - self._written >= WRITE_SECONDS:
            self._store(running=not ended)

    def close(self) -> None:
        """Does nothing."""

    def _take(self, lines: Sequence[Line]) -> None:
        for line in lines[self._taken :]:
            self._standing.add(line)
            numbers = {name: value for name, value in numbers_of(line).items() if not isinstance(value, bool)}
            self._newest.update(numbers)
            self._sums.update({name: numbers[name] for name in COUNTED if name in numbers})
            self._sums["skipped_steps"] += not line.get("applied", True)
            self._taken += 1

    def _store(self, *, running: bool = True) -> None:
        write_text(self._path, "".join(f"{line}\n" for line in self._text(running=running)))
        self._written = self._clock()

    def _text(self, *, running: bool) -> Iterator[str]:
        yield from self._metric("running", "gauge", "1 until the run ends.", {"": int(running)})
        yield from self._metric("step", "gauge", "The newest step.", {"": self._standing.step})
        yield from self._metric("steps", "gauge", "Steps of the whole run.", {"": self._standing.steps})
        yield from self._metric(
            "last_step_timestamp_seconds", "gauge", "When the newest step ended, or the run began.", {"": self._stepped}
        )
        for name, value in self._newest.items():
            if name != "step":
                readable = re.sub(r"\W", "_", name, flags=re.ASCII)
                yield from self._metric(f"last_{readable}", "gauge", f"The newest {readable} in metrics.jsonl.", {"": value})
        for name, meaning in {**COUNTED, "skipped_steps": "Steps that were not applied."}.items():
            yield from self._metric(f"{name}_total", "counter", meaning, {"": self._sums[name]})
        faults = {
            f',worker="{worker}",cause="{cause}",proof="{str(CAUSES[cause].proof).lower()}"': count
            for worker, counts in self._standing.blamed.items()
            for cause, count in counts.items()
        }
        yield from self._metric("faults_total", "counter", "What is held against a worker: proof, or only evidence.", faults)

    def _metric(self, name: str, kind: str, meaning: str, samples: Mapping[str, float]) -> Iterator[str]:
        yield f"# HELP byzshield_{name} {meaning}"
        yield f"# TYPE byzshield_{name} {kind}"
        for labels, value in samples.items():
            yield f'byzshield_{name}{{run="{self._run}"{labels}}} {value!r}'
