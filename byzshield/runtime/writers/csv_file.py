"""metrics.csv: the lines of metrics.jsonl as a table."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from byzshield.runtime.writers.writer import Line
from byzshield.storage import RecordFile
from byzshield.strict_json import dumps

__all__ = ["COLUMNS", "CSVFile"]

COLUMNS: Final = (
    "step",
    "epoch",
    "seconds",
    "exchange_seconds",
    "aggregation_seconds",
    "compute_seconds_median",
    "compute_seconds_max",
    "communication_seconds",
    "gradients",
    "bytes_received",
    "bytes_sent",
    "lr",
    "corrupted_files",
    "undecided_files",
    "non_finite_files",
    "applied",
    "loss",
    "reason",
    "blamed",
    "breakdown",
)


class CSVFile:
    """A row a step. The columns are COLUMNS, then whatever else the lines have, in the order in which it turns up.

    A column that turns up late, as that of the first evaluation does, makes the file be written anew; none ever moves. Numbers
    are as in metrics.jsonl, what is missing or not finite is empty, and lists and tables are JSON.

    Args:
        path: the file; it is replaced.
        lines: those that the run goes on from.

    Raises:
        StorageError: it cannot be written.
    """

    def __init__(self, path: Path, lines: Sequence[Line]) -> None:
        self._path = path
        self._columns: list[str] = []
        self._begin(lines)

    def write(self, lines: Sequence[Line], *, ended: bool = False) -> None:
        """Appends the rows of the lines that are new."""
        if self._all_columns(lines[self._written :]) != self._columns:
            before = self._file
            self._begin(lines)
            before.close()
        for line in lines[self._written :]:
            self._file.append(_rows(self._columns, line))
            self._written += 1

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def _begin(self, lines: Sequence[Line]) -> None:
        columns = self._all_columns(lines)
        head = dict(zip(columns, columns, strict=True))
        self._file = RecordFile(self._path, _rows(columns, head, *lines))
        self._columns, self._written = columns, len(lines)

    def _all_columns(self, lines: Sequence[Line]) -> list[str]:
        return list(dict.fromkeys([*(self._columns or COLUMNS), *(key for line in lines for key in line)]))


def _rows(columns: Sequence[str], *lines: Line) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([_cell(line.get(column)) for column in columns] for line in lines)
    return text.getvalue().encode()


def _cell(value: Any) -> str:
    return "" if value is None else value if isinstance(value, str) else dumps(value)
