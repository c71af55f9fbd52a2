"""`byzshield sweep`: many runs, several at a time."""

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from byzshield.cli.run_options import add_overrides
from byzshield.cli.table import print_table
from byzshield.config import Sweep, load_sweep
from byzshield.cores import available_cores
from byzshield.errors import ParameterError
from byzshield.runtime.wording import duration, number
from byzshield.strict_json import dumps

if TYPE_CHECKING:
    from byzshield.plots import Run

__all__ = ["add_parser"]

REDRAW_SECONDS = 0.5

DESCRIPTION = """\
Runs every combination of what a sweep file lists, each in a process of its own, and compares them. Safe to interrupt: Ctrl-C
stores what the running cells have, and the same command goes on from there. What is finished is not run again. A cell that fails,
or whose settings are impossible, is a row of the results with its reason.

Results are in <run.output_dir>/<name of the sweep>/: results.json, results.csv (a row a cell), groups.csv (mean and standard
deviation over the seeds), and a folder a cell, which is that of a run. `byzshield report` draws them."""

EPILOG = """\
example: byzshield sweep configs/sweeps/byzshield_alie_median.toml --preset laptop

exit status: 0 done; 1 some cell failed; 2 the request was wrong, or every cell is impossible; 130 Ctrl-C. docs/reproducing.md
explains the sweep file."""


def add_parser(subparsers: Any) -> None:
    """Adds the command."""
    parser = subparsers.add_parser(
        "sweep",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("sweep_file", type=Path, metavar="SWEEP.toml", help="the sweep file")
    parser.add_argument("--preset", metavar="NAME", help="one of the file's presets, e.g. laptop or paper")
    parser.add_argument("--jobs", type=int, metavar="N", help="cells at a time (default: cores / threads of a cell; 1 on a GPU)")
    add_overrides(parser)
    parser.add_argument("--rank", action="store_true", help="rank the values of optimizer and schedule by training loss")
    parser.add_argument(
        "--dry-run", action="store_true", help="list the cells, say which are impossible whatever their data are, and run none"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document: the contents of results.json")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Runs the command."""
    sweep = load_sweep(arguments.sweep_file, preset=arguments.preset, overrides=arguments.overrides)
    jobs = _jobs(sweep) if arguments.jobs is None else arguments.jobs
    if jobs < 1:
        raise ParameterError(f"--jobs must be at least 1; got {jobs}")
    if arguments.rank:
        from byzshield.plots.ranking import tuned_axes

        tuned_axes(sweep.axes)
    if arguments.dry_run:
        return _list(sweep, as_json=arguments.json)
    from byzshield.runtime.sweep import run_sweep

    progress = TerminalSweepProgress()
    try:
        results = run_sweep(sweep, jobs=jobs, progress=progress)
    except (KeyboardInterrupt, SystemExit):
        progress.stopped()
        raise
    if arguments.json:
        print(dumps(results))
    else:
        _print(sweep, results)
    if arguments.rank:
        _rank(sweep, results, silent=arguments.json)
    statuses = {cell["status"] for cell in results["cells"]}
    return 1 if "failed" in statuses else 2 if statuses == {"refused"} else 0


class TerminalSweepProgress:
    """One line on stderr that is drawn again and again; where that is not a terminal, a line for each cell that ends."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._cells = self._ended = self._failed = self._steps_left = self._steps_done = 0
        self._began = self._drawn = time.monotonic()

    def start(self, sweep: Sweep, *, complete: int, steps: int, jobs: int) -> None:
        """Says what there is to do."""
        self._cells, self._ended, self._steps_left = len(sweep.cells), complete, steps
        self._say(f"{sweep.directory}: {self._cells} cells, {complete} of them complete; {jobs} at a time")

    def advance(self, steps: int) -> None:
        """Counts steps."""
        self._steps_done += steps
        if self._terminal and time.monotonic() - self._drawn > REDRAW_SECONDS:
            self._drawn = time.monotonic()
            failed = f", {self._failed} failed or refused" if self._failed else ""
            print(f"\r\x1b[K{self._ended} of {self._cells} cells{failed}{self._remaining()}", end="", file=sys.stderr, flush=True)

    def ended(self, run: "Run", *, steps_left: int) -> None:
        """Says how a cell ended; in a terminal, only if it did not end well."""
        from byzshield.plots.runs import COMPLETE

        self._ended += 1
        self._steps_left -= steps_left
        if run.status != COMPLETE:
            self._failed += 1
            self._say(f"{run.name}: {run.status}: {run.reason}")
        elif not self._terminal:
            accuracy = run.final_accuracy
            came_to = f"test loss {number(run.final_loss)}" if accuracy is None else f"test accuracy {accuracy:.3f}"
            self._say(f"{self._ended} of {self._cells} cells: {run.name}: {came_to}{self._remaining()}")

    def finish(self) -> None:
        """Removes the line."""
        if self._terminal:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)

    def stopped(self) -> None:
        """Says how to go on."""
        self._say(
            f"{self._ended} of {self._cells} cells have ended; the same command goes on with the others, from where they are"
        )

    def _say(self, line: str) -> None:
        print(f"{chr(13) + chr(27) + '[K' if self._terminal else ''}{line}", file=sys.stderr, flush=True)

    def _remaining(self) -> str:
        """How long the rest takes if its steps take as long as those that are done."""
        left = self._steps_left - self._steps_done
        if self._steps_done <= 0 or left <= 0:
            return ""
        return f"; about {duration((time.monotonic() - self._began) / self._steps_done * left)} left"


def _jobs(sweep: Sweep) -> int:
    """As many cells as there are cores for their threads; one on a GPU, which several would share."""
    clusters = [cell.config.cluster for cell in sweep.cells]
    if any(cluster.device != "cpu" for cluster in clusters):
        return 1
    return max(1, available_cores() // max(cluster.num_threads for cluster in clusters))


def _list(sweep: Sweep, *, as_json: bool) -> int:
    from byzshield.runtime.cells import refusal

    cells = [
        {
            "cell": cell.name,
            "settings": dict(cell.settings),
            "steps": cell.steps,
            "directory": str(cell.directory),
            "reason": refusal(cell),
        }
        for cell in sweep.cells
    ]
    if as_json:
        print(dumps({"sweep": sweep.name, "preset": sweep.preset, "directory": str(sweep.directory), "cells": cells}))
        return 0
    for cell in cells:
        print(f"{cell['directory']}{cell['reason'] and ': impossible: '}{cell['reason']}")
    steps = [cell.steps for cell in sweep.cells if cell.steps is not None]
    others = f", and those of {len(cells) - len(steps)} cells with run.epochs" if len(steps) < len(cells) else ""
    impossible = sum(bool(cell["reason"]) for cell in cells)
    print(f"{len(cells)} cells, {sum(steps)} steps in all{others}{f'; {impossible} impossible' if impossible else ''}")
    return 0


def _print(sweep: Sweep, results: dict[str, Any]) -> None:
    from byzshield.plots import group_runs, read_runs, table_rows, unfinished_rows

    runs, _ = read_runs([sweep.directory])
    print_table(table_rows(group_runs(runs), reasons=False))
    others = unfinished_rows(runs)
    if len(others) > 1:
        print()
        print_table(others)
    print(f"results in {sweep.directory}; draw them with: byzshield report {sweep.directory}")


def _rank(sweep: Sweep, results: dict[str, Any], *, silent: bool) -> None:
    from byzshield.plots.measurements import rows_as_csv
    from byzshield.plots.ranking import ranking
    from byzshield.storage import write_text

    rows = ranking(results)
    path = sweep.directory / "ranking.csv"
    write_text(path, rows_as_csv(rows))
    if silent:
        return
    print()
    head = [column for column in rows[0] if column != "statuses"]
    print_table([tuple(head), *(tuple(_cell(row[column]) for column in head) for row in rows)])
    print(f"ranked by training loss (mean of the last tenth of the steps, and of the seeds) in {path}")


def _cell(value: Any) -> str:
    return "none" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
