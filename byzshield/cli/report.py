"""`byzshield report`: what runs and sweeps came to, as a table here and as a page, a table or figures in files."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from byzshield.cli.table import print_table
from byzshield.errors import ParameterError
from byzshield.extras import require
from byzshield.strict_json import dumps

if TYPE_CHECKING:
    from byzshield.plots import Group

__all__ = ["add_parser"]

SUFFIXES: Final = {
    ".html": "html", ".htm": "html", ".md": "md", ".tex": "latex", ".csv": "csv", ".svg": "svg", ".png": "png", ".pdf": "pdf"
}  # fmt: skip
SPARE: Final = ("MB received a step", "s a step", "Byzantine")  # columns, on a narrow terminal
PICTURES: Final = ("svg", "png", "pdf")
DRAWN: Final = ("html", *PICTURES)

DESCRIPTION = """\
Prints a table of runs, and writes them as one HTML page that needs no network: what they came to in words, accuracy by the
settings that differ, curves of accuracy and loss, who did what, who voted like whom, who held which file, where time and bytes
went, settings, versions, and the commands that repeat the runs. Runs that differ in the seed alone are one row: mean and standard
deviation. A run that goes on, was stopped or failed is a row with its status.

The suffix of --output says what is written, or else --format: html (the page), md (the same in words and tables), latex and csv
(the tables), pdf (the figures, one a page), svg and png (the figures side by side). A folder gets each figure as a file."""

EPILOG = """\
examples:
  byzshield report runs/quickstart runs/quickstart-sweep
  byzshield report runs/* --output report.html
  byzshield report runs/quickstart --format pdf --output figures/
  byzshield report runs/* --json

exit status: 0 done, also if some of the runs could not be read; 2 none could, or the request was wrong."""


def add_parser(subparsers: Any) -> None:
    """Adds the command."""
    parser = subparsers.add_parser(
        "report",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "run_dirs", type=Path, nargs="+", metavar="RUN_DIR", help="the folder of a run, of a sweep, or of many runs"
    )
    parser.add_argument("--output", type=Path, metavar="FILE", help="what to write (default: report.html in the first RUN_DIR)")
    parser.add_argument("--format", choices=list(dict.fromkeys(SUFFIXES.values())), help="of --output (default: by its suffix)")
    parser.add_argument("--json", action="store_true", help="print one JSON document, and write only what --output names")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Runs the command; what it writes is whole before it prints anything, for whoever reads may close the pipe."""
    kind = _kind(arguments.output, arguments.format)
    output = arguments.output
    if kind in DRAWN and (output is not None or not arguments.json):
        require("matplotlib")
    from byzshield.plots import group_runs, read_runs, table_rows
    from byzshield.plots.measurements import as_document
    from byzshield.runtime.directory_lock import is_in_use

    runs, problems = read_runs(arguments.run_dirs, in_use=is_in_use)
    for problem in problems:
        print(f"byzshield: left out: {problem}", file=sys.stderr)
    groups = group_runs(runs)
    if output is None and not arguments.json:
        output = arguments.run_dirs[0] / f"report{next(suffix for suffix, known in SUFFIXES.items() if known == kind)}"
    written = [] if output is None else _write(groups, output, kind)
    if arguments.json:
        print(dumps({**as_document(groups), "problems": problems, "written": [str(path) for path in written]}))
        return 0
    print_table(table_rows(groups), spare=SPARE)
    print(f"report: {written[0] if len(written) == 1 else f'{len(written)} figures in {output}'}")
    return 0


def _kind(output: Path | None, wanted: str | None) -> str:
    """What to write.

    Raises:
        ParameterError: the name of the file does not say it, or says something else than --format.
    """
    suffix = "" if output is None else output.suffix.lower()
    named = None if output is None or output.is_dir() else SUFFIXES.get(suffix)
    if wanted and named and wanted != named:
        raise ParameterError(f"--format {wanted} and --output {output} contradict each other: give the file another suffix")
    if output is not None and not wanted and not named:
        raise ParameterError(f"--output must end in one of {', '.join(SUFFIXES)}, or --format say what to write; got {output}")
    return wanted or named or "html"


def _write(groups: "Sequence[Group]", output: Path, kind: str) -> list[Path]:
    from byzshield.plots.report import write_figures, write_report

    drawing = _progress()
    try:
        if kind in PICTURES and (output.is_dir() or not output.suffix):
            return write_figures(groups, output, kind, drawing=drawing)
        write_report(groups, output, kind, drawing=drawing)
        return [output]
    finally:
        drawing(0, 0)


def _progress() -> Callable[[int, int], None]:
    """Shows on a terminal how many figures of how many are drawn; 0 of 0 wipes it out."""

    def draw(done: int, of: int) -> None:
        if sys.stderr.isatty():
            print(f"\r\x1b[K{f'figure {done} of {of}' if of else ''}", end="", file=sys.stderr, flush=True)

    return draw
