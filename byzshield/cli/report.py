"""`byzshield report`: a table and a page from runs and sweeps."""

import argparse
import sys
from pathlib import Path
from typing import Any

from byzshield.cli.progress import print_table
from byzshield.extras import require

__all__ = ["add_parser"]


def add_parser(subparsers: Any) -> None:
    """Adds the command."""
    parser = subparsers.add_parser(
        "report",
        help="table and figures of runs and sweeps",
        description="Prints a table of runs, and writes it with the curves of test accuracy as one HTML page. Runs that differ "
        "in the seed alone are one row: mean and standard deviation. A run that is not complete is a row with its status.",
        epilog="example: byzshield report runs/quickstart runs/quickstart-sweep",
    )
    parser.add_argument(
        "run_dirs", type=Path, nargs="+", metavar="RUN_DIR", help="the folder of a run, of a sweep, or of many runs"
    )
    parser.add_argument("--output", type=Path, metavar="FILE.html", help="the page (default: report.html in the first RUN_DIR)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Runs the command."""
    require("matplotlib")
    from byzshield.plots import group_runs, read_runs, table_rows, write_report

    runs, problems = read_runs(arguments.run_dirs)
    for problem in problems:
        print(f"byzshield: left out: {problem}", file=sys.stderr)
    print_table(table_rows(group_runs(runs)))
    output = arguments.output or arguments.run_dirs[0] / "report.html"
    write_report(runs, output)
    print(f"report: {output}")
    return 0
