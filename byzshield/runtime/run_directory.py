"""runs/<name>/: what a run leaves behind."""

import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from byzshield.config import RunConfig, configuration_hash, dump, load
from byzshield.errors import CheckpointError, ConfigError
from byzshield.storage import write_text
from byzshield.strict_json import dumps

__all__ = ["RunDirectory", "open_finished", "open_run"]


class RunDirectory:
    """The paths of a run's directory, and its writers.

    Args:
        path: the directory.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = path / "config.toml"
        self.metrics = path / "metrics.jsonl"
        self.checkpoints = path / "checkpoints"
        self.summary = path / "summary.json"

    def write_config(self, config: RunConfig) -> None:
        """Stores the resolved run file."""
        write_text(self.config, dump(config))

    def write_summary(self, summary: dict[str, Any]) -> None:
        """Stores summary.json."""
        write_text(self.summary, dumps(summary, indent=2) + "\n")


def open_run(config: RunConfig, *, resume: bool, overwrite: bool) -> RunDirectory:
    """Chooses and makes the directory of a run.

    A name that is taken gets the next free suffix (-2, -3, ...), so that no result is overwritten by accident.

    Args:
        config: its run.output_dir and run.name.
        resume: go on in the existing directory, if there is one.
        overwrite: empty the existing directory, if there is one.

    Raises:
        ConfigError: the directory cannot be made or replaced, or both flags are given.
        CheckpointError: to resume, the existing run has another configuration.
    """
    name = config.run.name
    if resume and overwrite:
        raise ConfigError("--resume and --overwrite exclude each other")
    parent = Path(os.path.expanduser(config.run.output_dir))
    try:
        path = _chosen(parent, name, config, resume=resume, overwrite=overwrite)
        path.mkdir(parents=True, exist_ok=True)
        directory = RunDirectory(path)
        directory.write_config(config)
    except OSError as error:
        raise ConfigError(f"run.output_dir: {parent / name} cannot be written: {error.strerror}") from error
    return directory


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


def _chosen(parent: Path, name: str, config: RunConfig, *, resume: bool, overwrite: bool) -> Path:
    path = parent / name
    if path.exists() and resume:
        stored = path / "config.toml"
        if stored.exists() and configuration_hash(load(stored)) != configuration_hash(config):
            raise CheckpointError(f"{path} belongs to a run with another configuration; resume with {stored}, or start afresh")
    elif path.exists() and overwrite:
        if any(path.iterdir()) and not (path / "config.toml").exists():
            raise ConfigError(f"run.name: {path} is not a run's directory, so it is not overwritten")
        shutil.rmtree(path)
    elif path.exists():
        number = 2
        while (parent / f"{name}-{number}").exists():
            number += 1
        path = parent / f"{name}-{number}"
    return path
