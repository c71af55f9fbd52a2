"""`byzshield report`: a table and a page from finished runs."""

import argparse
from pathlib import Path
from typing import Any

from byzshield.extras import require

__all__ = ["add_parser"]


def add_parser(subparsers: Any) -> None:
    """Adds the command."""
    parser = subparsers.add_parser(
        "report",
        help="table and figures of finished runs",
        description="Prints a table of finished runs, and writes it with the curves of test accuracy as one HTML page.",
        epilog="example: byzshield report runs/quickstart runs/quickstart-frc",
    )
    parser.add_argument("run_dirs", type=Path, nargs="+", metavar="RUN_DIR")
    parser.add_argument("--output", type=Path, metavar="FILE.html", help="the page (default: report.html in the first RUN_DIR)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Runs the command."""
    require("matplotlib")
    from byzshield.plots import read_run, table_rows, write_report

    runs = [read_run(path) for path in arguments.run_dirs]
    rows = table_rows(runs)
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())
    output = arguments.output or arguments.run_dirs[0] / "report.html"
    write_report(runs, output)
    print(f"report: {output}")
    return 0
