"""metrics.jsonl: one line a step, whole or absent, and cut back to the checkpoint when a run resumes."""

import os
from pathlib import Path
from typing import Any

from byzshield.storage import named_errors, read_json_lines, write_text
from byzshield.strict_json import dumps, finite

__all__ = ["MetricsLog", "read_metrics"]


class MetricsLog:
    """Appends one JSON object a step.

    Args:
        path: the file; lines for steps after `resumed_at` are removed.
        resumed_at: the step that the run goes on from; 0 starts afresh.

    Raises:
        StorageError: the file cannot be written.
    """

    def __init__(self, path: Path, *, resumed_at: int = 0) -> None:
        kept = [line for line in read_metrics(path) if line["step"] <= resumed_at]
        write_text(path, "".join(dumps(line) + "\n" for line in kept))
        self.lines = kept
        self._path = path
        with named_errors(path):
            self._file = open(path, "ab", buffering=0)  # noqa: SIM115 - open for as long as the run

    @property
    def last_step(self) -> int:
        """The step of the newest line; 0 without one."""
        return int(self.lines[-1]["step"]) if self.lines else 0

    def write(self, line: dict[str, Any]) -> None:
        """Appends `line`, which has a "step"; a number that is not finite becomes null.

        Raises:
            StorageError: it cannot be written; the file ends with the line before.
        """
        whole = os.fstat(self._file.fileno()).st_size
        rest = memoryview((dumps(line) + "\n").encode())
        with named_errors(self._path):
            try:
                while rest:
                    rest = rest[self._file.write(rest) :]
            except BaseException:
                self._file.truncate(whole)
                raise
        self.lines.append(finite(line))

    def sync(self) -> None:
        """Waits until all lines are on disk, as those of the steps before a checkpoint must be.

        Raises:
            StorageError: the disk has failed.
        """
        with named_errors(self._path):
            os.fsync(self._file.fileno())

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The lines of a metrics file, oldest first, without those that a crash or damage has made unreadable; [] without a file."""
    return [line for line in read_json_lines(path) if type(line.get("step")) is int]
