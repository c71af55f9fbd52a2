"""`byzshield placement`: who computes which file."""

import argparse
from typing import Any

from byzshield.cli.placement_options import add_placement_options, assignment_from
from byzshield.strict_json import dumps

__all__ = ["add_parser"]

EXAMPLES = """examples:
  byzshield placement --scheme mols --load 5 --replication 3
  byzshield placement --scheme ramanujan2 --m 5 --replication 5 --json
  byzshield placement --scheme frc --workers 15 --replication 3
"""


def add_parser(subparsers: Any) -> None:
    """Adds the command."""
    parser = subparsers.add_parser(
        "placement",
        help="who computes which file",
        description="Prints which files each worker computes, both numbered from 0.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_placement_options(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Runs the command."""
    assignment = assignment_from(arguments)
    if arguments.json:
        document = {
            "scheme": assignment.scheme,
            "num_workers": assignment.num_workers,
            "num_files": assignment.num_files,
            "load": assignment.load,
            "replication": assignment.replication,
            "files_of": assignment.files_of.tolist(),
        }
        print(dumps(document))
        return 0
    print(
        f"{assignment.scheme}: K = {assignment.num_workers}, f = {assignment.num_files}, load l = {assignment.load}, "
        f"replication r = {assignment.replication}; {assignment.threshold} equal copies decide a file"
    )
    width = len(str(assignment.num_workers - 1))
    for worker, files in enumerate(assignment.files_of.tolist()):
        print(f"worker {worker:>{width}}: files {' '.join(map(str, files))}")
    return 0
