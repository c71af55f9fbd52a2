"""What the commands that run a job have in common: the run file, overrides, and progress on a terminal."""

import argparse
import signal
import sys
from pathlib import Path
from typing import Any

from byzshield.config import RunConfig, load

__all__ = ["StopOnSignal", "TerminalProgress", "add_run_flags", "config_from", "print_summary"]


def add_run_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the run file, --set, --resume and --overwrite."""
    parser.add_argument("run_file", type=Path, metavar="RUN.toml", help="the run file; README.md shows how to write one")
    parser.add_argument(
        "--set",
        dest="overrides",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="override a key, e.g. attack.num_byzantine=5",
    )
    parser.add_argument("--resume", action="store_true", help="go on from the newest checkpoint of this run, if there is one")
    parser.add_argument("--overwrite", action="store_true", help="replace an earlier run of this name (default: add a suffix)")


def config_from(arguments: argparse.Namespace) -> RunConfig:
    """Loads the run file with its overrides."""
    return load(arguments.run_file, arguments.overrides)


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


class TerminalProgress:
    """A tqdm bar on stderr; where that is not a terminal, nothing, or a line for each evaluation.

    Args:
        plain: whether to print those lines; under mpirun no rank has a terminal.
    """

    def __init__(self, *, plain: bool = False) -> None:
        self._plain = plain
        self._bar: Any = None
        self._steps = 0

    def start(self, *, at: int, steps: int) -> None:
        """Draws the bar."""
        self._steps = steps
        if sys.stderr.isatty():
            from tqdm import tqdm

            self._bar = tqdm(total=steps, initial=at, unit="step", dynamic_ncols=True)

    def advance(self, line: dict[str, Any]) -> None:
        """Moves the bar."""
        accuracy = line.get("test_accuracy")
        if self._bar is not None:
            if accuracy is not None:
                self._bar.set_postfix(accuracy=f"{accuracy:.3f}")
            self._bar.update()
        elif self._plain and accuracy is not None:
            print(f"step {line['step']} of {self._steps}: test accuracy {accuracy:.3f}", file=sys.stderr, flush=True)

    def finish(self) -> None:
        """Leaves the bar as it is."""
        if self._bar is not None:
            self._bar.close()


def print_summary(path: Path, summary: dict[str, Any]) -> None:
    """Prints how a run ended, in three lines."""
    print(
        f"{summary['scheme']}, {summary['num_byzantine']} of {summary['num_workers']} workers Byzantine "
        f"({summary['attack']}), {summary['aggregator']}: at most {summary['corrupted_files_max']} of {summary['num_files']} "
        f"files corrupted"
    )
    print(
        f"test accuracy {summary['test_accuracy']:.4f}, loss {summary['test_loss']:.4f} after {summary['steps']} steps, "
        f"{summary['step_seconds_median']:.3f} s a step"
    )
    print(f"results in {path}")
