"""`--dry-run` of the commands that run a job: refuses what the job would, and starts nothing."""

import argparse

from byzshield.config import RunConfig

__all__ = ["add_dry_run", "print_facts"]


def add_dry_run(parser: argparse.ArgumentParser) -> None:
    """Adds --dry-run."""
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="refuse what the job would refuse on this host before its first step, print the run's directory, its number of "
        "workers and its newest checkpoint, and start nothing; it reads the data and builds network, optimizer and schedule as "
        "the job does, which takes as long as it does there, and looks neither at memory nor at the number of ranks",
    )


def print_facts(config: RunConfig, *, resume: bool, overwrite: bool) -> int:
    """Prints what whoever starts the job needs to know of it, a word and a value a line.

    Args:
        config: the run file.
        resume: whether the job is to go on from its newest checkpoint.
        overwrite: whether it is to replace an earlier run.

    Raises:
        RequestError: the job cannot run here.
    """
    from byzshield.runtime.builder import Builder
    from byzshield.runtime.checkpoint import all_checkpoints
    from byzshield.runtime.run_directory import check_run

    builder = Builder(config)
    builder.set_threads()
    builder.server(within_memory=False)
    path = check_run(builder.resolved, resume=resume, overwrite=overwrite)
    steps = [step for step, _ in all_checkpoints(path / "checkpoints")]
    print(f"run {path}")
    print(f"workers {builder.assignment.num_workers}")
    print(f"checkpoint {f'step {steps[-1]}' if steps else 'none'}")
    return 0
