"""`byzshield train`: one rank of the distributed job."""

import argparse
from pathlib import Path
from typing import Any

from byzshield import log
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
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="check the run file, print the run's directory, its number of workers and its newest checkpoint, and start nothing",
    )
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
        return _print_facts(config_from(arguments))
    stop = StopOnSignal()
    require("mpi4py")  # before anything is read: it is missing whatever the run file says
    return run_rank(config_from(arguments), arguments, stop)


def _print_facts(config: RunConfig) -> int:
    """Prints what whoever starts the job needs to know of it, a word and a value a line."""
    from byzshield.runtime.builder import Builder
    from byzshield.runtime.checkpoint import all_checkpoints

    builder = Builder(config)
    builder.check()
    path = Path(config.run.output_dir).expanduser() / config.run.name
    steps = [step for step, _ in all_checkpoints(path / "checkpoints")]
    print(f"run {path}")
    print(f"workers {builder.assignment.num_workers}")
    print(f"checkpoint {f'step {steps[-1]}' if steps else 'none'}")
    return 0


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
