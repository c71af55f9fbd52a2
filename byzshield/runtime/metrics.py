"""metrics.jsonl: one line a step, flushed, and cut back to the checkpoint when a run resumes."""

from pathlib import Path
from typing import Any, TextIO

from byzshield.storage import read_json_lines, write_text
from byzshield.strict_json import dumps, finite

__all__ = ["MetricsLog", "read_metrics"]


class MetricsLog:
    """Appends one JSON object a step.

    Args:
        path: the file; lines for steps after `resumed_at` are removed.
        resumed_at: the step that the run goes on from; 0 starts afresh.
    """

    def __init__(self, path: Path, *, resumed_at: int = 0) -> None:
        kept = [line for line in read_metrics(path) if line["step"] <= resumed_at]
        write_text(path, "".join(dumps(line) + "\n" for line in kept))
        self.lines = kept
        self._file: TextIO = open(path, "a", encoding="utf-8")  # noqa: SIM115 - open for as long as the run

    def write(self, line: dict[str, Any]) -> None:
        """Appends `line`, which has a "step"; a number that is not finite becomes null."""
        self.lines.append(finite(line))
        self._file.write(dumps(line) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The lines of a metrics file, oldest first; a last line cut short by a crash is left out, a missing file has none."""
    return read_json_lines(path)
