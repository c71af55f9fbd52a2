"""runs/<name>/: what a run leaves behind."""

import itertools
import json
import os
import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Self

from byzshield.config import RunConfig, differences, dump, load
from byzshield.errors import CheckpointError, ConfigError, StorageError
from byzshield.log import get_logger
from byzshield.runtime.directory_lock import LOCK_NAME, DirectoryLock
from byzshield.storage import parts_of, write_text
from byzshield.strict_json import dumps

__all__ = ["RunDirectory", "check_run", "open_finished", "open_run"]

LOG = get_logger(__name__)
MOST_NAMED: Final = 4  # keys that differ, in one message


class RunDirectory:
    """The paths of a run's directory, its writers, and the lock that keeps others from writing.

    As a context manager it releases the lock at the end.

    Args:
        path: the directory.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = path / "config.toml"
        self.metrics = path / "metrics.jsonl"
        self.evidence = path / "evidence.jsonl"
        self.record = path / "record.jsonl"
        self.checkpoints = path / "checkpoints"
        self.memories = path / "adversary"
        self.summary = path / "summary.json"
        self.csv = path / "metrics.csv"
        self.events = path / "events"
        self.prometheus = path / "metrics.prom"
        self.placement = path / "placement.json"
        self.agreement = path / "agreement.json"
        self.jobs = path / "jobs.jsonl"
        self._lock: DirectoryLock | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def lock(self) -> None:
        """Keeps other jobs out until `release` or the end of this process.

        Raises:
            ConfigError: another job is using the directory.
            OSError: it cannot be written to.
        """
        self._lock = DirectoryLock(self.path)

    def release(self) -> None:
        """Lets other jobs in."""
        if self._lock is not None:
            self._lock.release()

    def is_foreign(self) -> bool:
        """Whether files are in it that no run has left."""
        return not self.config.exists() and any(
            entry.name != LOCK_NAME and entry not in parts_of(self.config) for entry in self.path.iterdir()
        )

    def remove_parts(self) -> None:
        """Removes what a job that was killed had half written; needs the lock."""
        events = self.events / "events.out.tfevents.*"
        files = (self.config, self.metrics, self.evidence, self.record, self.summary, self.csv, self.prometheus)
        told = (self.placement, self.agreement, self.jobs)
        for path in (*files, *told, events, self.checkpoints / "step_*.pt"):
            for part in parts_of(path):
                part.unlink(missing_ok=True)

    def empty(self) -> None:
        """Removes all but the lock and the configuration, without which the directory would be foreign; needs the lock."""
        for entry in self.path.iterdir():
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            elif entry not in (self.config, self.path / LOCK_NAME):
                entry.unlink()

    def read_summary(self) -> dict[str, Any] | None:
        """What summary.json holds; None while the run has none.

        Raises:
            ConfigError: it cannot be read.
        """
        try:
            summary: Any = json.loads(self.summary.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError, RecursionError) as error:
            raise ConfigError(f"{self.summary} cannot be read: {error}") from error
        if not isinstance(summary, dict):
            raise ConfigError(f"{self.summary} is not what a run writes")
        return summary

    def write_config(self, config: RunConfig) -> None:
        """Stores the resolved run file."""
        write_text(self.config, dump(config))

    def write_summary(self, summary: dict[str, Any]) -> None:
        """Stores summary.json."""
        write_text(self.summary, dumps(summary, indent=2) + "\n")


def open_run(config: RunConfig, *, resume: bool, overwrite: bool) -> RunDirectory:
    """Chooses, makes and locks the directory of a run.

    A name that is taken gets the next free suffix (-2, -3, ...), so that no result is overwritten by accident.

    Args:
        config: its run.output_dir and run.name.
        resume: go on in the existing directory, if there is one.
        overwrite: empty the existing directory, if there is one.

    Raises:
        ConfigError: the directory cannot be made or replaced, another job is using it, or both flags are given.
        CheckpointError: to resume, the existing run has another configuration.
    """
    path = check_run(config, resume=resume, overwrite=overwrite)
    try:
        if resume or overwrite:
            path.mkdir(parents=True, exist_ok=True)
        else:
            path = _new(path)
        directory = RunDirectory(path)
        directory.lock()
        try:
            directory.remove_parts()
            if overwrite:
                directory.empty()
            elif resume and (changed := _differing(directory, config, kept=False)):
                LOG.info("changed since the run was begun: %s", _there_and_here(changed))
            directory.write_config(config)
        except BaseException:
            directory.release()
            raise
    except StorageError as error:
        raise ConfigError(f"run.output_dir: {error}") from error
    except OSError as error:
        raise ConfigError(f"run.output_dir: {path} cannot be written: {error.strerror}") from error
    return directory


def check_run(config: RunConfig, *, resume: bool, overwrite: bool) -> Path:
    """The directory of a run, for which `open_run` is to be asked next; makes and locks nothing.

    Args:
        config: as `open_run` takes it.
        resume: as `open_run` takes it.
        overwrite: as `open_run` takes it.

    Raises:
        ConfigError: both flags are given, or what is to be replaced is no run's directory.
        CheckpointError: to resume, the existing run has another configuration.
    """
    if resume and overwrite:
        raise ConfigError("--resume and --overwrite exclude each other")
    directory = RunDirectory(Path(os.path.expanduser(config.run.output_dir)) / config.run.name)
    if overwrite and directory.path.is_dir() and directory.is_foreign():
        raise ConfigError(f"run.name: {directory.path} is not a run's directory, so it is not overwritten")
    if resume and (differing := _differing(directory, config, kept=True)):
        raise CheckpointError(
            f"{directory.path} belongs to a run with another configuration: {_there_and_here(differing)}; resume with "
            f"{directory.config}, or start afresh"
        )
    return directory.path


def open_finished(path: Path, overrides: Iterable[str] = ()) -> tuple[RunDirectory, RunConfig]:
    """Opens the directory of a run that exists.

    Args:
        path: the directory.
        overrides: of its configuration, as `load` takes them.

    Raises:
        ConfigError: it is not a run's directory.
    """
    directory = RunDirectory(path)
    if not directory.config.exists():
        raise ConfigError(f"{path} is not a run's directory: it has no config.toml")
    return directory, load(directory.config, overrides)


def _new(path: Path) -> Path:
    """Makes a directory that was not there: of jobs that start at once, each gets its own."""
    for number in itertools.count(1):
        chosen = path if number == 1 else path.with_name(f"{path.name}-{number}")
        with suppress(FileExistsError):
            chosen.mkdir(parents=True)
            return chosen
    raise AssertionError("there are numbers enough")


def _differing(directory: RunDirectory, config: RunConfig, *, kept: bool) -> dict[str, tuple[Any, Any]]:
    """What a configuration and that of a run which is there already differ in, as `differences` has it."""
    return differences(load(directory.config), config, kept=kept) if directory.config.exists() else {}


def _there_and_here(differing: dict[str, tuple[Any, Any]]) -> str:
    said = [f"{key} is {_value(there)} there and {_value(here)} here" for key, (there, here) in differing.items()]
    return ", ".join(said[:MOST_NAMED]) + (f", and {len(said) - MOST_NAMED} more" if len(said) > MOST_NAMED else "")


def _value(value: Any) -> str:
    return "not set" if value is None else f"{value!r:.60}"
