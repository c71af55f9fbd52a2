"""The flags that name a placement, shared by every command that takes one."""

import argparse

from byzshield.placement import PLACEMENTS, Assignment, build

__all__ = ["add_placement_options", "assignment_from"]


def add_placement_options(parser: argparse.ArgumentParser) -> None:
    """Adds --scheme, --workers, --load, --replication, --m and --assignment."""
    group = parser.add_argument_group(
        "placement",
        "The scheme and its sizes: K workers hold l files each (load), every file is held by r workers (replication). "
        "Any two of K, l and r give the third for mols and ramanujan1; ramanujan2 takes --m (its load) and --replication; frc "
        "(groups, as in DETOX), cyclic (as in DRACO) and aspis (all sets of r workers) take --workers and --replication, steiner "
        "takes --workers.",
    )
    group.add_argument(
        "--scheme",
        required=True,
        metavar="NAME",
        help=f"one of: {', '.join(PLACEMENTS.names())}; or module:function",
    )
    group.add_argument("--workers", type=int, metavar="K", help="number of workers")
    group.add_argument("--load", type=int, metavar="L", help="files a worker; for mols a prime power, for ramanujan1 a prime")
    group.add_argument("--replication", type=int, metavar="R", help="workers a file; odd for a vote, 2 for arbitration")
    group.add_argument("--m", type=int, metavar="M", help="ramanujan2 only: a multiple of the replication")
    group.add_argument("--assignment", metavar="FILE", help="custom only: a .json or .npy file that says who computes what")


def assignment_from(arguments: argparse.Namespace) -> Assignment:
    """Builds the placement that the flags name.

    Raises:
        ConfigError: the scheme is unknown.
        PlacementError: it has no placement of these sizes.
    """
    return build(
        arguments.scheme,
        num_workers=arguments.workers,
        load=arguments.load,
        replication=arguments.replication,
        m=arguments.m,
        path=arguments.assignment,
    )
