"""metrics.jsonl: one line a step, whole or absent, and cut back to the checkpoint when a run resumes."""

from pathlib import Path
from typing import Any

from byzshield.storage import RecordFile, read_json_lines
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
        self.lines = [line for line in read_metrics(path) if line["step"] <= resumed_at]
        self._file = RecordFile(path, "".join(dumps(line) + "\n" for line in self.lines).encode())

    @property
    def last_step(self) -> int:
        """The step of the newest line; 0 without one."""
        return int(self.lines[-1]["step"]) if self.lines else 0

    def write(self, line: dict[str, Any]) -> None:
        """Appends `line`, which has a "step"; a number that is not finite becomes null.

        Raises:
            StorageError: it cannot be written; the file ends with the line before.
        """
        self._file.append((dumps(line) + "\n").encode())
        self.lines.append(finite(line))

    def sync(self) -> None:
        """Waits until all lines are on disk, as those of the steps before a checkpoint must be.

        Raises:
            StorageError: the disk has failed.
        """
        self._file.sync()

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The lines of a metrics file, oldest first, without those that a crash or damage has made unreadable; [] without a file."""
    return [line for line in read_json_lines(path) if type(line.get("step")) is int]
