"""results.json and results.csv of a sweep: a row a cell, and the groups of cells that differ in nothing but the seed."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from byzshield.config import Sweep
from byzshield.plots.groups import Group, Spread, group_runs
from byzshield.plots.runs import RESULTS, Run
from byzshield.storage import write_text
from byzshield.strict_json import dumps

__all__ = ["as_csv", "results_of", "write_results"]

SPREAD: Final = ("final_accuracy", "best_accuracy", "train_loss", "step_seconds")


def results_of(sweep: Sweep, runs: Sequence[Run]) -> dict[str, Any]:
    """The contents of results.json.

    Args:
        sweep: the sweep.
        runs: one for each of its cells.
    """
    return {
        "sweep": sweep.name,
        "preset": sweep.preset,
        "axes": list(sweep.axes),
        "cells": [_cell_row(run) for run in runs],
        "groups": [_group_row(group) for group in group_runs(runs)],
    }


def write_results(sweep: Sweep, results: Mapping[str, Any]) -> None:
    """Writes results.json, results.csv (a row a cell) and groups.csv (a row a group) into the sweep's folder.

    Raises:
        OSError: it cannot be written to.
    """
    write_text(sweep.directory / RESULTS, dumps(results, indent=2) + "\n")
    write_text(sweep.directory / "results.csv", as_csv(results["cells"]))
    write_text(sweep.directory / "groups.csv", as_csv(results["groups"]))


def as_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows with a column for each setting and each number of a spread; lists and tables as JSON."""
    flat = [_flat(row) for row in rows]
    columns = dict.fromkeys(column for row in flat for column in row)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(columns), lineterminator="\n")
    writer.writeheader()
    writer.writerows(flat)
    return text.getvalue()


def _group_row(group: Group) -> dict[str, Any]:
    """A group's settings, and mean, standard deviation and range over the seeds of its complete cells."""
    spreads = {name: group.spread(lambda run, name=name: getattr(run, name)) for name in SPREAD}  # type: ignore[misc]
    statuses = [run.status for run in group.runs]
    return {
        "label": group.label,
        "settings": group.settings,
        "seeds": [run.seed for run in group.complete],
        "statuses": {status: statuses.count(status) for status in dict.fromkeys(statuses)},
        "reason": next((run.reason for run in group.runs if run.reason), ""),
        "corrupted_files": max((run.corrupted_files for run in group.complete if run.corrupted_files is not None), default=None),
        "num_files": next((run.facts.get("num_files") for run in group.complete), None),
        **{name: _spread(spread) for name, spread in spreads.items()},
    }


def _cell_row(run: Run) -> dict[str, Any]:
    return {
        "cell": run.name,
        "settings": dict(run.settings),
        "seed": run.seed,
        "status": run.status,
        "reason": run.reason,
        "final_accuracy": run.final_accuracy,
        "best_accuracy": run.best_accuracy,
        "train_loss": run.train_loss,
        "corrupted_files": run.corrupted_files,
        "num_files": run.facts.get("num_files"),
        "step_seconds": run.step_seconds,
        "steps": max((line["step"] for line in run.lines if isinstance(line.get("step"), int)), default=0),
    }


def _spread(spread: Spread | None) -> dict[str, float | None] | None:
    return None if spread is None else {"mean": spread.mean, "std": spread.std, "min": spread.least, "max": spread.most}


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in row.items():
        if name == "settings":
            flat |= {axis if axis not in row else f"settings.{axis}": label for axis, label in value.items()}
        elif name in SPREAD and isinstance(value, Mapping):
            flat |= {f"{name}_{part}": number for part, number in value.items()}
        else:
            flat[name] = value
    return {name: json.dumps(value, default=str) if isinstance(value, list | dict) else value for name, value in flat.items()}
