"""`byzshield data`: data sets on this machine."""

import argparse
from pathlib import Path
from typing import Any

__all__ = ["add_parser"]


def add_parser(subparsers: Any) -> None:
    """Adds the command."""
    parser = subparsers.add_parser("data", description="Prepares data sets before a job needs them.")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    prepare = actions.add_parser(
        "prepare",
        help="download, verify and convert a data set once",
        description="Fetches what is missing, checks it, and converts it to what the workers read.",
        epilog="example: byzshield data prepare cifar10",
    )
    prepare.add_argument("name", metavar="NAME", help="see byzshield list datasets")
    prepare.add_argument("--root", type=Path, default=None, help="the folder of its files (default: the user's cache)")
    prepare.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Runs the command."""
    from byzshield.data import load
    from byzshield.storage import cache_directory

    root = arguments.root or cache_directory()
    dataset = load(arguments.name, root=root, download=True)
    shape = dataset.image_shape
    size = "" if shape is None else f"{' x '.join(map(str, shape))}, "
    samples = "samples" if shape is None else "images"
    print(f"{arguments.name}: {dataset.num_train} {samples} to train, {dataset.num_test} to test, {size}{dataset.location}")
    return 0
