"""`byzshield train`: one rank of the distributed job."""

import argparse
from pathlib import Path
from typing import Any

from byzshield import log
from byzshield.cli.dry_run import add_dry_run, print_facts
from byzshield.cli.progress import print_summary
from byzshield.cli.run_options import StopOnSignal, add_run_options, config_from
from byzshield.config import RunConfig
from byzshield.extras import require

__all__ = ["add_exit_file", "add_parser", "run_rank"]


def add_parser(subparsers: Any) -> None:
    """Adds the command."""
    parser = subparsers.add_parser(
        "train",
        description="Runs one rank of a distributed job: the server at rank 0, workers elsewhere. With fewer ranks than "
        "workers + 1, a rank hosts several workers and computes a file that they share once.",
        epilog="example: mpirun -n 16 python -m mpi4py -m byzshield train configs/runs/quickstart.toml",
    )
    add_run_options(parser)
    add_exit_file(parser)
    add_dry_run(parser)
    parser.set_defaults(run=run)


def add_exit_file(parser: argparse.ArgumentParser) -> None:
    """Adds --exit-file, which `main` reads."""
    parser.add_argument(
        "--exit-file",
        type=Path,
        metavar="FILE",
        help="the server writes its exit status here when it ends by itself; mpirun's own is 0 even after it has lost a host",
    )


def run(arguments: argparse.Namespace) -> int:
    """Runs the command."""
    if arguments.dry_run:
        return print_facts(config_from(arguments), resume=arguments.resume, overwrite=arguments.overwrite)
    stop = StopOnSignal()
    require("mpi4py")  # before anything is read: it is missing whatever the run file says
    return run_rank(config_from(arguments), arguments, stop)


def run_rank(config: RunConfig, arguments: argparse.Namespace, stop: StopOnSignal) -> int:
    """Runs this rank's part of a job; `arguments` says whether to resume or overwrite."""
    require("mpi4py")
    from byzshield.runtime import train_mpi
    from byzshield.runtime.progress import ProgressLine
    from byzshield.transport import mpi

    rank = mpi.world_rank()
    log.configure("PS" if rank == 0 else f"rank {rank}")
    result = train_mpi(config, resume=arguments.resume, overwrite=arguments.overwrite, progress=ProgressLine(), stop=stop)
    if result is not None:
        print_summary(result[0].path, result[1])
    return 0
