"""What the commands that run a job take: the run file, overrides, and the signal that ends it after a step."""

import argparse
import os
import signal
import threading
from pathlib import Path

from byzshield.config import RunConfig, load

__all__ = ["StopOnSignal", "add_overrides", "add_run_options", "config_from", "end_with_stdin"]


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """Adds the run file, --set, --resume and --overwrite."""
    parser.add_argument("run_file", type=Path, metavar="RUN.toml", help="the run file; README.md shows how to write one")
    add_overrides(parser)
    parser.add_argument("--resume", action="store_true", help="go on from the newest checkpoint of this run, if there is one")
    parser.add_argument("--overwrite", action="store_true", help="replace an earlier run of this name (default: add a suffix)")


def add_overrides(parser: argparse.ArgumentParser, *, example: str = "attack.num_byzantine=5") -> None:
    """Adds --set."""
    parser.add_argument(
        "--set",
        dest="overrides",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help=f"override a key of the run file, e.g. {example}",
    )


def config_from(arguments: argparse.Namespace) -> RunConfig:
    """Loads the run file with its overrides."""
    return load(arguments.run_file, arguments.overrides)


def end_with_stdin() -> None:
    """Sends this process a SIGTERM once its standard input ends, as a pipe does when whoever holds its other end has died."""
    threading.Thread(target=_await_end_of_stdin, daemon=True).start()


def _await_end_of_stdin() -> None:
    while os.read(0, 4096):  # not sys.stdin, whose lock a waiting thread would still hold when the interpreter shuts down
        pass
    os.kill(os.getpid(), signal.SIGTERM)


class StopOnSignal:
    """Tells a run to end after its step once SIGUSR1 has come, which mpirun passes on to all its processes.

    Every rank makes one, before it imports anything slow, or the signal would kill it; only the server asks.
    """

    def __init__(self) -> None:
        self._asked = False
        signal.signal(signal.SIGUSR1, self._note)

    def __call__(self) -> bool:
        return self._asked

    def _note(self, *_: object) -> None:
        self._asked = True
