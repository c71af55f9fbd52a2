"""Directories of runs and of sweeps, in whatever state, go in; runs come out."""

import json
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from byzshield.errors import ConfigError
from byzshield.plots.runs import COMPLETE, FAILED, KILLED, PENDING, REFUSED, RESULTS, RUNNING, UNFINISHED, Run
from byzshield.storage import read_json_lines

__all__ = ["cell_run", "read_run", "read_runs"]

KILLED_WORDS: Final = "no job is running it, and none has said how it ended; --resume goes on from its newest checkpoint"


def read_run(path: Path) -> Run:
    """Reads a run's directory, whatever state the run is in.

    Raises:
        ConfigError: it is none, or its files cannot be read.
    """
    try:
        summary = _table(path / "summary.json", json.loads)
        config = _table(path / "config.toml", tomllib.loads)
        lines = read_json_lines(path / "metrics.jsonl")
        placed = {} if summary else _table(path / "placement.json", json.loads)
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"{path} is not the directory of a run: {error}") from error
    if not (summary or config):
        raise ConfigError(f"{path} is not the directory of a run: it has neither summary.json nor config.toml")
    lines = [line for line in lines if isinstance(line, dict)]
    flat = {
        f"{section}.{key}": value for section, table in config.items() if isinstance(table, dict) for key, value in table.items()
    }
    return Run(
        name=path.resolve().name,
        settings=flat,
        status=str(summary.get("status", COMPLETE if summary else UNFINISHED)),
        reason=str(summary.get("reason") or ""),
        facts={**_facts(flat), **(summary or _so_far(lines, placed))},
        lines=lines,
        config=flat,
        path=path,
    )


def read_runs(paths: Iterable[Path], *, in_use: Callable[[Path], bool | None] = lambda _: None) -> tuple[list[Run], list[str]]:
    """Reads runs, the cells of sweeps, and all runs of folders of them.

    Args:
        paths: their directories.
        in_use: whether a job holds the directory of a run that has not said how it ended; None where that cannot be told.

    Returns:
        the runs that can be read, and a line for each that cannot.

    Raises:
        ConfigError: none can.
    """
    runs: list[Run] = []
    problems: list[str] = []
    for path in paths:
        try:
            if (path / RESULTS).exists():
                runs += _cells(path, problems)
            elif (path / "config.toml").exists() or not (inner := sorted(path.glob("*/config.toml"))):
                runs.append(read_run(path))
            else:
                for found in inner:
                    _collect(runs, problems, found.parent)
        except ConfigError as error:
            problems.append(str(error))
    if not runs:
        raise ConfigError(problems[0] if problems else "there is no run to report on")
    return [_still_going(run, in_use) for run in runs], problems


def cell_run(
    path: Path, *, sweep: str, settings: Mapping[str, Any], status: str = PENDING, reason: str = "", seed: int | None = None
) -> Run:
    """Reads a cell's directory.

    Args:
        path: the directory, which need not exist.
        sweep: the sweep's name.
        settings: the entry of each axis.
        status: what the sweep knows of it, which counts unless the run is complete.
        reason: why it failed or was refused, as the sweep knows it.
        seed: of a cell that has no directory.
    """
    if not (path / "config.toml").exists():
        return Run(name=path.name, settings=settings, status=status, reason=reason, sweep=sweep, facts={"seed": seed})
    run = read_run(path)
    begun = run.status if run.lines or run.status == COMPLETE else PENDING
    known = status in (FAILED, REFUSED) and run.status != COMPLETE
    return Run(
        name=path.name,
        settings=settings,
        status=status if known else begun,
        reason=reason if known else run.reason,
        sweep=sweep,
        facts=run.facts,
        lines=run.lines,
        config=run.config,
        path=path,
    )


def _still_going(run: Run, in_use: Callable[[Path], bool | None]) -> Run:
    """The run, with what is known of a job that works on it."""
    held = in_use(run.path) if run.status == UNFINISHED and run.path is not None else None
    if held is None:
        return run
    return replace(run, status=RUNNING) if held else replace(run, status=KILLED, reason=KILLED_WORDS)


def _cells(path: Path, problems: list[str]) -> list[Run]:
    try:
        results = json.loads((path / RESULTS).read_text(encoding="utf-8"))
        cells = [(path / str(cell["cell"]), cell) for cell in results["cells"]]
        known = [{key: cell.get(key) for key in ("settings", "status", "reason", "seed")} for _, cell in cells]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(f"{path / RESULTS} is not what a sweep writes: {error}") from error
    runs: list[Run] = []
    for (folder, _), arguments in zip(cells, known, strict=True):
        try:
            runs.append(cell_run(folder, sweep=path.resolve().name, **arguments))
        except ConfigError as error:
            problems.append(str(error))
    return runs


def _collect(runs: list[Run], problems: list[str], path: Path) -> None:
    try:
        runs.append(read_run(path))
    except ConfigError as error:
        problems.append(str(error))


def _table(path: Path, parse: Any) -> dict[str, Any]:
    """The contents of a file that may be missing."""
    if not path.exists():
        return {}
    table = parse(path.read_text(encoding="utf-8"))
    if not isinstance(table, dict):
        raise ValueError(f"{path.name} holds no table")
    return table


def _facts(config: Mapping[str, Any]) -> dict[str, Any]:
    """What a summary would say of the configuration."""
    num_byzantine = config.get("attack.num_byzantine", 0)
    return {
        "scheme": config.get("placement.scheme"),
        "attack": config.get("attack.name") if num_byzantine else "none",
        "aggregator": config.get("aggregation.rule"),
        "num_workers": config.get("cluster.num_workers"),
        "num_byzantine": num_byzantine,
        "seed": config.get("run.seed"),
    }


def _so_far(lines: list[dict[str, Any]], placed: Mapping[str, Any]) -> dict[str, Any]:
    """What a summary would say of a run that has none yet."""
    blamed: dict[str, Counter[str]] = {}
    for line in lines:
        for worker, counts in line["blamed"].items() if isinstance(line.get("blamed"), dict) else ():
            blamed.setdefault(worker, Counter()).update(counts)
    expelled: dict[str, dict[str, Any]] = {}
    for line in lines:
        for worker in line["expelled"] if isinstance(line.get("expelled"), list) else ():
            expelled.setdefault(str(worker), {"step": line.get("step")})
    rolled_back = lines[-1].get("rolled_back_steps") if lines else None
    return {"num_files": placed.get("num_files"), "blamed": blamed, "expelled": expelled, "rolled_back_steps": rolled_back}
