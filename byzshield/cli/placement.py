"""`byzshield placement`: who computes which file."""

import argparse
from typing import Any

from byzshield.cli.placement_options import add_placement_options, assignment_from
from byzshield.distortion import worst_case
from byzshield.errors import ParameterError
from byzshield.plots.distortion import check_figure_path
from byzshield.plots.placement_figure import STYLES, write_placement
from byzshield.strict_json import dumps

__all__ = ["add_parser"]

SEARCH_SECONDS = 10.0

DESCRIPTION = """\
Prints which files each worker computes, both numbered from 0. With --plot it draws them; with --byzantine, too, the
picture marks the workers who together corrupt the most files, and these files."""

EXAMPLES = """examples:
  byzshield placement --scheme mols --load 5 --replication 3
  byzshield placement --scheme mols --load 5 --replication 3 --byzantine 3 --plot worst.svg
  byzshield placement --scheme ramanujan2 --m 5 --replication 5 --json
  byzshield placement --scheme frc --workers 15 --replication 3
"""


def add_parser(subparsers: Any) -> None:
    """Adds the command."""
    parser = subparsers.add_parser(
        "placement",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_placement_options(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--plot", metavar="FILE", help="draw it (.png, .svg, .pdf)")
    parser.add_argument("--style", choices=STYLES, default="matrix", help="of the picture (default: matrix)")
    parser.add_argument(
        "--byzantine", type=int, default=0, metavar="Q", help="mark a worst set of so many workers in the picture"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Runs the command."""
    assignment = assignment_from(arguments)
    if arguments.plot is not None:
        check_figure_path(arguments.plot)
        worst = worst_case(assignment, arguments.byzantine, time_limit=SEARCH_SECONDS)
        write_placement(assignment, arguments.plot, byzantine=worst.witness, style=arguments.style)
    elif arguments.byzantine:
        raise ParameterError("--byzantine marks workers in the picture, so it needs --plot; byzshield distortion prints them")
    if arguments.json:
        print(dumps(assignment.as_json()))
        return 0
    print(
        f"{assignment.scheme}: K = {assignment.num_workers}, f = {assignment.num_files}, load l = {assignment.load}, "
        f"replication r = {assignment.replication}; {assignment.threshold} equal copies decide a file"
    )
    width = len(str(assignment.num_workers - 1))
    for worker, files in enumerate(assignment.files_of.tolist()):
        print(f"worker {worker:>{width}}: files {' '.join(map(str, files))}")
    return 0
