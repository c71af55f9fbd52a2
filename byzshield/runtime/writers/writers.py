"""The writers that a run file asks for, none of which can end a run."""

import os
from collections.abc import Sequence
from pathlib import Path

from byzshield.config import RunConfig
from byzshield.errors import ConfigError, StorageError
from byzshield.log import get_logger
from byzshield.runtime.run_directory import RunDirectory
from byzshield.runtime.writers.csv_file import CSVFile
from byzshield.runtime.writers.event_file import EventFile
from byzshield.runtime.writers.prometheus_file import PrometheusFile
from byzshield.runtime.writers.writer import Line, Writer

__all__ = ["Writers"]

LOG = get_logger(__name__)


class Writers:
    """Tells each writer of new lines.

    Once training has begun, a file that cannot be written is a warning, and what it lacks is written when there is room again.

    Args:
        config: whose [metrics] says which there are.
        directory: where the files are, unless it says otherwise.
        lines: of metrics.jsonl; the list that grows with the run.

    Raises:
        ConfigError: metrics.prometheus cannot be written to.
        StorageError: one of the others cannot be.
    """

    def __init__(self, config: RunConfig, directory: RunDirectory, lines: Sequence[Line]) -> None:
        section = config.metrics
        self._lines = lines
        self._writers: list[Writer] = []
        self._failing: set[Writer] = set()
        if section.csv:
            self._writers.append(CSVFile(directory.csv, lines))
        if section.tensorboard:
            self._writers.append(EventFile(directory.events, lines))
        if section.prometheus:
            given = section.prometheus
            path = Path(os.path.expanduser(given)) if isinstance(given, str) else directory.prometheus
            try:
                self._writers.append(PrometheusFile(path, lines, run=config.run.name, steps=config.run.steps or 0))
            except OSError as error:
                raise ConfigError(f"metrics.prometheus: {error}") from error

    def write(self, *, ended: bool = False) -> None:
        """Brings all files up to date, as far as there is room."""
        for writer in self._writers:
            try:
                writer.write(self._lines, ended=ended)
            except StorageError as error:
                if writer not in self._failing:
                    LOG.warning("%s; training goes on, and what is missing there is written once that is possible", error)
                self._failing.add(writer)
            else:
                self._failing.discard(writer)

    def close(self) -> None:
        """Brings all files up to date for the last time, and closes them."""
        self.write(ended=True)
        for writer in self._writers:
            try:
                writer.close()
            except StorageError as error:
                LOG.warning("%s", error)
