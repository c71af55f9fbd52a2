"""The commands, with a line about each. Only what is asked for is imported: each rank of a job waits for it."""

from collections.abc import Container
from importlib import import_module
from typing import Any, Final

__all__ = ["COMMANDS", "add_parsers"]

COMMANDS: Final = {
    "init": "a run file, a model and data of your own, to start from",
    "placement": "who computes which file",
    "distortion": "how many files q Byzantine workers can corrupt at worst, with a proof and a witness",
    "plan": "compare every placement that fits K workers, and recommend one",
    "train": "run a job under mpirun",
    "simulate": "run a job in this process, without MPI",
    "sweep": "many runs, several at a time, and their comparison",
    "watch": "follow a run from another terminal or host",
    "evaluate": "test accuracy of each checkpoint of a run",
    "verify": "recompute a run, or a part of it, and compare with its record",
    "report": "tables, curves and a page of runs and sweeps",
    "export": "the trained weights alone, for other programs",
    "doctor": "is this machine or this cluster fit to train?",
    "list": "what a run file can name",
    "data": "prepare a data set",
    "detox": "run a job by the flags of the published DETOX and ByzShield code",
    "completion": "completion of these commands in bash, zsh or fish",
}


def add_parsers(subparsers: Any, asked: Container[str]) -> None:
    """Adds all commands, but what they take only for those that are asked for."""
    for name, line in COMMANDS.items():
        if name in asked:
            import_module(f"byzshield.cli.{'listing' if name == 'list' else name}").add_parser(subparsers)
        else:
            subparsers.add_parser(name, help=line)
