"""metrics.jsonl: one line a step, whole or absent, and cut back to the checkpoint when a run resumes."""

import errno
from contextlib import suppress
from pathlib import Path
from typing import Any

from byzshield.log import get_logger
from byzshield.storage import RecordFile, json_lines, read_json_lines, unreadable_lines
from byzshield.strict_json import dumps, finite

__all__ = ["MetricsLog", "MetricsTail", "read_metrics"]

LOG = get_logger(__name__)


class MetricsLog:
    """Appends one JSON object a step.

    Args:
        path: the file; lines for steps after `resumed_at` are removed.
        resumed_at: the step that the run goes on from; 0 starts afresh.

    Raises:
        StorageError: the file cannot be written.
    """

    def __init__(self, path: Path, *, resumed_at: int = 0) -> None:
        self._path = path
        if lines := unreadable_lines(path):
            LOG.warning("%s is damaged: lines %s cannot be read, and are left out", path, lines)
        self.lines: list[dict[str, Any]] = []
        self._file = self._cut(read_metrics(path), resumed_at)

    def _cut(self, lines: list[dict[str, Any]], step: int) -> RecordFile:
        self.lines = [line for line in lines if line["step"] <= step]
        return RecordFile(self._path, "".join(dumps(line) + "\n" for line in self.lines).encode())

    def go_back(self, step: int) -> None:
        """Removes the lines of later steps.

        Raises:
            StorageError: the file cannot be written.
        """
        self._file.close()
        self._file = self._cut(self.lines, step)

    def replace_last(self, line: dict[str, Any]) -> None:
        """Puts another line in the place of the newest.

        Raises:
            StorageError: the file cannot be written.
        """
        self._file.close()
        self._file = self._cut([*self.lines[:-1], finite(line)], line["step"])

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
    return _with_steps(read_json_lines(path))


class MetricsTail:
    """Reads what has come to a metrics file since the last time, also over NFS.

    The file is opened anew each time, which is when NFS looks at what the server has. Before it reads on, it compares the last
    line that it has read: a job that resumes or overwrites a run puts another file in its place.

    Args:
        path: the file, which need not be there yet.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._end = -1  # of what was read; negative before the first time
        self._last = b""

    def read(self) -> tuple[bool, list[dict[str, Any]]]:
        """Whether what was read before no longer counts, as it does the first time, and the lines that have come.

        Raises:
            OSError: the file is there and cannot be read.
        """
        try:
            content = self._content()
        except FileNotFoundError:
            content = b""
        except OSError as error:
            if error.errno != errno.ESTALE:  # NFS: it was replaced just now
                raise
            return False, []
        afresh = self._end < 0 or not content.startswith(self._last)
        if afresh and self._last:
            self._end, self._last = 0, b""
            with suppress(FileNotFoundError):
                content = self._content()
        whole = content[len(self._last) : content.rfind(b"\n") + 1]
        self._end = max(self._end, 0) + len(whole)
        if whole:
            self._last = whole[whole.rfind(b"\n", 0, -1) + 1 :]
        return afresh, _with_steps(json_lines(whole))

    def _content(self) -> bytes:
        with open(self._path, "rb") as file:
            file.seek(max(0, self._end - len(self._last)))
            return file.read()


def _with_steps(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [line for line in lines if type(line.get("step")) is int]
