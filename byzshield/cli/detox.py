"""`byzshield detox`: a job by the flags of the published DETOX and ByzShield code."""

import argparse
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import tomli_w

from byzshield.cli import simulate, train
from byzshield.cli.detox_flags import add_flags
from byzshield.cli.detox_run_file import run_file
from byzshield.cli.run_options import StopOnSignal, add_overrides
from byzshield.config import RunConfig, from_table
from byzshield.config.load import override, parse_override
from byzshield.errors import ConfigError
from byzshield.log import get_logger

__all__ = ["add_parser"]

LOG = get_logger(__name__)


def add_parser(subparsers: Any) -> None:
    """Adds the command."""
    parser = subparsers.add_parser(
        "detox",
        usage="byzshield detox --approach NAME [FLAG ...] [--dry-run]",
        description="Runs the job that these flags mean in the published DETOX and ByzShield code: this rank's part of it under "
        "mpirun, or else all of it in this process. docs/from_byzshield.md says what differs.",
        epilog="example: mpirun -n 16 python -m mpi4py -m byzshield detox --approach mols --group-size 3 --worker-fail 3 "
        "--mode coord-median --byzantine-gen hard_coded --lis-simulation simulate --network LeNet --dataset MNIST",
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="print the run file that the flags amount to, check it as far as data and network do not matter, and run nothing",
    )
    parser.add_argument(
        "--workers",
        type=int,
        metavar="K",
        help="workers (default: the ranks of mpirun but one; in one process, those of the published runs where --approach and "
        "--group-size determine them)",
    )
    add_overrides(parser, example="data.root=cifar10_data")
    parser.add_argument(
        "--resume",
        type=int,
        nargs="?",
        const=-1,
        metavar="STEP",
        help="go on behind STEP, as --checkpoint-step does; without STEP, from this run's newest checkpoint, if it has one",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an earlier run in --train-dir (default: add a suffix)")
    train.add_exit_file(parser)
    add_flags(parser)
    parser.set_defaults(run=run, ranks=2)


def run(arguments: argparse.Namespace) -> int:
    """Runs the command."""
    stop = StopOnSignal()
    ranks = _started_ranks()
    under_mpi = ranks > 1
    if arguments.resume is not None and arguments.resume >= 0:
        arguments.checkpoint_step = arguments.resume
    meant = run_file(arguments, num_workers=arguments.workers or (ranks - 1 if under_mpi else None))
    override(meant.tables, map(parse_override, arguments.overrides))
    config = from_table(meant.tables)
    first = not under_mpi or _rank() == 0
    if arguments.dry_run:
        if first:
            from byzshield.runtime import Builder

            print(_commented(meant.notes) + tomli_w.dumps(meant.tables), end="", flush=True)
            Builder(config).check()
        return 0
    arguments.resume = arguments.resume == -1
    if first:
        for note in meant.notes:
            LOG.info(note)
        folder = Path(config.run.output_dir) / config.run.name
        if folder.is_dir() and not (folder / "config.toml").exists() and not arguments.overwrite:
            arguments.resume = True  # the published scripts make the folder, and its weights are in it: it is taken as it is
        if arguments.checkpoint_step:
            config, arguments.resume = _start(config, resume=arguments.resume)
    return train.run_rank(config, arguments, stop) if under_mpi else simulate.run_here(config, arguments, stop)


def _started_ranks() -> int:
    """The ranks that mpirun, or srun with PMIx, has started; 1 without one. MPI itself would have to be loaded to ask it."""
    sizes = ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE"]
    if "PMIX_RANK" in os.environ:
        sizes.append("SLURM_STEP_NUM_TASKS")
    return next((int(os.environ[name]) for name in sizes if os.environ.get(name, "").isdigit()), 1)


def _rank() -> int:
    return int(os.environ.get("PMIX_RANK") or os.environ.get("PMI_RANK") or 0)


def _commented(notes: list[str]) -> str:
    return "".join(f"# {note}\n" for note in notes) + ("\n" if notes else "")


def _start(config: RunConfig, *, resume: bool) -> tuple[RunConfig, bool]:
    """Chooses where a run that begins behind a step gets that step from, and whether that is a checkpoint of its own.

    Only the server has the folder, so only the server asks.

    Args:
        config: begins behind the step, with weights of the published code.
        resume: whether a checkpoint of a later step will do.

    Raises:
        ConfigError: neither these weights are there, nor is the step that of our newest checkpoint.
    """
    from byzshield.runtime.checkpoint import all_checkpoints

    assert config.run.start_from is not None
    weights, step = Path(config.run.start_from), config.run.start_step
    folder = Path(config.run.output_dir) / config.run.name
    own = [number for number, _ in all_checkpoints(folder / "checkpoints")]
    if own and (resume or own[-1] == step):
        return replace(config, run=replace(config.run, start_from=None, start_step=0)), True
    if not weights.is_file():
        newest = f", and its newest checkpoint is that of step {own[-1]}" if own else " and no checkpoint of ours"
        raise ConfigError(f"--resume: {folder} has no {weights.name}{newest}")
    LOG.info("starting from %s without momentum, as the published code does", weights)
    return config, resume
