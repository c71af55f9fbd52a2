"""`byzshield simulate`: a job in one process."""

import argparse
from typing import Any

from byzshield.cli.dry_run import add_dry_run, print_facts
from byzshield.cli.progress import print_summary
from byzshield.cli.run_options import StopOnSignal, add_run_options, config_from, end_with_stdin
from byzshield.config import RunConfig

__all__ = ["add_parser", "run_here"]


def add_parser(subparsers: Any) -> None:
    """Adds the command."""
    parser = subparsers.add_parser(
        "simulate",
        description="Runs the server and all workers of a run file in this process. Every file is computed once, and the weights "
        "equal those of the MPI job bit for bit.",
        epilog="example: byzshield simulate configs/runs/quickstart.toml --set attack.num_byzantine=5",
    )
    add_run_options(parser)
    parser.add_argument(
        "--ranks",
        type=int,
        default=2,
        metavar="N",
        help="simulated processes, one of them the server (default 2: all workers in one)",
    )
    add_dry_run(parser)
    parser.add_argument("--end-with-stdin", action="store_true", help=argparse.SUPPRESS)  # for the cells of a sweep
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Runs the command."""
    if arguments.dry_run:
        return print_facts(config_from(arguments), resume=arguments.resume, overwrite=arguments.overwrite)
    stop = StopOnSignal()
    if arguments.end_with_stdin:
        end_with_stdin()
    return run_here(config_from(arguments), arguments, stop)


def run_here(config: RunConfig, arguments: argparse.Namespace, stop: StopOnSignal) -> int:
    """Runs a job in this process; `arguments` says with how many ranks, and whether to resume or overwrite."""
    from byzshield.runtime import simulate
    from byzshield.runtime.progress import ProgressLine

    directory, summary = simulate(
        config,
        num_ranks=arguments.ranks,
        resume=arguments.resume,
        overwrite=arguments.overwrite,
        progress=ProgressLine(),
        stop=stop,
    )
    print_summary(directory.path, summary)
    return 0
