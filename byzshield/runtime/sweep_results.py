"""results.json and results.csv of a sweep: a row a cell, and the groups of cells that differ in nothing but the seed."""

from collections.abc import Mapping, Sequence
from typing import Any

from byzshield.config import Sweep
from byzshield.plots.groups import group_runs
from byzshield.plots.measurements import group_row, rows_as_csv, run_row
from byzshield.plots.runs import RESULTS, Run
from byzshield.storage import write_text
from byzshield.strict_json import dumps

__all__ = ["results_of", "write_results"]


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
        "cells": [{"cell": run.name, **run_row(run)} for run in runs],
        "groups": [group_row(group) for group in group_runs(runs)],
    }


def write_results(sweep: Sweep, results: Mapping[str, Any]) -> None:
    """Writes results.json, results.csv (a row a cell) and groups.csv (a row a group) into the sweep's folder.

    Raises:
        OSError: it cannot be written to.
    """
    write_text(sweep.directory / RESULTS, dumps(results, indent=2) + "\n")
    write_text(sweep.directory / "results.csv", rows_as_csv(results["cells"]))
    write_text(sweep.directory / "groups.csv", rows_as_csv(results["groups"]))
