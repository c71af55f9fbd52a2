"""The flags that name a placement, shared by the commands that take one."""

import argparse

from byzshield.placement import PLACEMENTS, Assignment, build

__all__ = ["add_placement_flags", "assignment_from"]


def add_placement_flags(parser: argparse.ArgumentParser) -> None:
    """Adds --scheme, --workers, --load, --replication and --m."""
    parser.add_argument("--scheme", required=True, help=f"one of: {', '.join(PLACEMENTS.names())}; or module:function")
    parser.add_argument("--workers", type=int, metavar="K", help="number of workers; may stand in for another size")
    parser.add_argument("--load", type=int, metavar="L", help="files a worker")
    parser.add_argument("--replication", type=int, metavar="R", help="workers a file, odd")
    parser.add_argument("--m", type=int, metavar="M", help="m of ramanujan2, a multiple of the replication")


def assignment_from(arguments: argparse.Namespace) -> Assignment:
    """Builds the placement that the flags name.

    Raises:
        PlacementError: there is none.
    """
    return build(
        arguments.scheme,
        num_workers=arguments.workers,
        load=arguments.load,
        replication=arguments.replication,
        m=arguments.m,
    )
