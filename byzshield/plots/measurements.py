"""Runs and groups of them as numbers, for JSON and CSV."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from byzshield.causes import verdicts
from byzshield.plots.groups import Group, Spread, varying
from byzshield.plots.markup import as_csv
from byzshield.plots.runs import Run

__all__ = ["as_document", "group_row", "group_table", "rows_as_csv", "run_row"]

SPREAD: Final = ("final_accuracy", "best_accuracy", "final_loss", "train_loss", "step_seconds")
PARTS: Final = ("mean", "std", "min", "max")
FACTS: Final = ("scheme", "attack", "aggregator", "num_byzantine", "num_workers")


def run_row(run: Run) -> dict[str, Any]:
    """What a run came to."""
    return {
        "settings": dict(run.settings),
        "seed": run.seed,
        "status": run.status,
        "reason": run.reason,
        "final_accuracy": run.final_accuracy,
        "best_accuracy": run.best_accuracy,
        "final_loss": run.final_loss,
        "train_loss": run.train_loss,
        "corrupted_files": run.corrupted_files,
        "num_files": run.facts.get("num_files"),
        "step_seconds": run.step_seconds,
        "steps": run.last_step,
    }


def group_row(group: Group) -> dict[str, Any]:
    """A group's settings, and mean, standard deviation and range over the seeds of its complete runs."""
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


def as_document(groups: Sequence[Group]) -> dict[str, Any]:
    """All of a report's numbers."""
    return {
        "runs": [_run(run) for group in groups for run in group.runs],
        "groups": [{**_facts(group.runs[0]), **group_row(group)} for group in groups],
    }


def group_table(groups: Sequence[Group]) -> str:
    """A row of CSV for each group, with a column for each setting in which they differ."""
    keys = set(varying([group.runs[0] for group in groups]))
    rows = [
        {**group_row(group), "settings": {key: value for key, value in group.settings.items() if key in keys}} for group in groups
    ]
    return rows_as_csv(
        [{"label": row.pop("label"), **_facts(group.runs[0]), **row} for group, row in zip(groups, rows, strict=True)]
    )


def rows_as_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows with a column for each setting and each number of a spread; lists and tables as JSON."""
    flat = [_flat(row) for row in rows]
    columns = list(dict.fromkeys(column for row in flat for column in row))
    return as_csv([columns, *([row.get(column) for column in columns] for row in flat)])


def _run(run: Run) -> dict[str, Any]:
    found = verdicts(run.facts)
    return {
        "run": run.name,
        "directory": None if run.path is None else str(run.path),
        "sweep": run.sweep,
        **_facts(run),
        **run_row(run),
        "bytes_received": run.bytes_received,
        "bytes_sent": run.bytes_sent,
        "proven": sorted(verdict.worker for verdict in found if verdict.proven),
        "suspected": sorted(verdict.worker for verdict in found if not verdict.proven),
        "expelled": run.facts.get("expelled", {}),
    }


def _facts(run: Run) -> dict[str, Any]:
    return {key: run.facts.get(key) for key in FACTS}


def _spread(spread: Spread | None) -> dict[str, float | None] | None:
    return None if spread is None else {"mean": spread.mean, "std": spread.std, "min": spread.least, "max": spread.most}


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in row.items():
        if name == "settings":
            flat |= {axis if axis not in row else f"settings.{axis}": label for axis, label in value.items()}
        elif name in SPREAD and "label" in row:  # of a group
            flat |= {f"{name}_{part}": None if value is None else value[part] for part in PARTS}
        else:
            flat[name] = value
    return {name: json.dumps(value, default=str) if isinstance(value, list | dict) else value for name, value in flat.items()}
