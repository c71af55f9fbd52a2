"""`byzshield evaluate`: the test accuracy of a run's checkpoints, or of those that the published code has left."""

import argparse
import re
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any, Final, NamedTuple

from byzshield.cli.detox_run_file import DATASETS, NETWORKS
from byzshield.cli.run_options import add_overrides
from byzshield.config import RunConfig, from_table
from byzshield.config.load import override, parse_override
from byzshield.config.schema import LAST_STEP
from byzshield.errors import CheckpointError, ConfigError
from byzshield.log import get_logger
from byzshield.strict_json import dumps

__all__ = ["add_parser"]

LOG = get_logger(__name__)

IN_WORDS: Final = {"top5_accuracy": "top-5"}
POLL_SECONDS: Final = 2.0
MOST_NAMED: Final = 8


class Steps(NamedTuple):
    """Which checkpoints to evaluate, and which of them have to be there."""

    wanted: Collection[int]
    required: Collection[int]


def add_parser(subparsers: Any) -> None:
    """Adds the command."""
    parser = subparsers.add_parser(
        "evaluate",
        description="Prints step, test accuracy (top-1 and top-5) and test loss of each checkpoint in DIR: a run's folder, or "
        "one with files model_step_N of the published DETOX and ByzShield code, whose network and data set have to be named.",
        epilog="example: byzshield evaluate runs/quickstart",
    )
    parser.add_argument("run_dir", type=Path, metavar="DIR")
    parser.add_argument(
        "--steps",
        type=_steps,
        metavar="STEPS",
        help="only the checkpoints of these steps, all of which must be there: 100,200 or first:last:distance; or "
        "first::distance, as many as there are",
    )
    parser.add_argument("--network", metavar="NAME", help="of files model_step_N: LeNet, ResNet18, ..., or a model's name here")
    parser.add_argument("--dataset", metavar="NAME", help="of files model_step_N: MNIST, Cifar10, ..., or a data set's name here")
    add_overrides(parser, example="data.root=cifar10_data")
    parser.add_argument(
        "--watch",
        action="store_true",
        help="go on with new checkpoints until those of --steps are done, or the run has its summary",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document at the end")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Runs the command."""
    from byzshield.runtime import Builder
    from byzshield.runtime.checkpoint import all_checkpoints
    from byzshield.runtime.run_directory import RunDirectory
    from byzshield.runtime.weights import load_weights, published_checkpoints

    directory = RunDirectory(arguments.run_dir)
    builder = Builder(_config(arguments))
    builder.set_threads()
    model = builder.model()
    wanted, required = arguments.steps or Steps(range(LAST_STEP + 1), ())
    rows: list[dict[str, Any]] = []
    left_out: list[CheckpointError] = []
    done: set[int] = set()
    waiting = False
    while True:
        finished = directory.summary.exists()
        found = dict(published_checkpoints(directory.path)) | dict(all_checkpoints(directory.checkpoints))
        for step, path in sorted(found.items()):
            if step in done or step not in wanted:
                continue
            done.add(step)
            try:
                load_weights(path, model.module)
            except CheckpointError as error:
                if path.exists():  # and has not just been removed, as run.keep_checkpoints may ask
                    left_out.append(error)
                continue
            result = builder.evaluate(model)
            rows.append({"step": step, **{f"test_{name}": value for name, value in result.items()}})
            if not arguments.json:
                words = (f"{IN_WORDS.get(name, name.replace('_', ' '))} {value:.4f}" for name, value in result.items())
                print(f"step {step}: test {', '.join(words)}", flush=True)
        while rows and left_out:
            LOG.warning("left out: %s", left_out.pop(0))
        missing = next((step for step in required if step not in done), None)
        if not arguments.watch or finished or (required and missing is None):
            break
        if not waiting and (missing is not None or not rows):
            LOG.info(
                "waiting for the checkpoint of %s; the folder has %s",
                f"step {missing}" if required else "a step",
                _those_of(found),
            )
            waiting = True
        time.sleep(POLL_SECONDS)
    if left_out:
        raise left_out[-1]
    if missing is not None or not rows:
        asked_for = "that was asked for" if missing is None else f"of step {missing}"
        advice = "the run has ended" if finished else "--watch waits for one"
        raise ConfigError(f"{arguments.run_dir} has no checkpoint {asked_for}; it has {_those_of(found)}; {advice}")
    if arguments.json:
        print(dumps({"run": str(arguments.run_dir), "checkpoints": rows}))
    return 0


def _those_of(found: Collection[int]) -> str:
    """The steps of which there are checkpoints, in words."""
    steps = ", ".join(map(str, sorted(found)[:MOST_NAMED])) + (", ..." if len(found) > MOST_NAMED else "")
    return f"those of {steps}" if found else "none"


def _config(arguments: argparse.Namespace) -> RunConfig:
    """The run's configuration; of model_step_N files, as much as the flags say and an evaluation needs.

    Raises:
        ConfigError: the folder is not a run's, and the flags do not name network and data set.
    """
    from byzshield.runtime import open_finished
    from byzshield.runtime.weights import published_checkpoints

    if arguments.network is None or arguments.dataset is None:
        if published_checkpoints(arguments.run_dir) and not (arguments.run_dir / "config.toml").exists():
            raise ConfigError(f"{arguments.run_dir} has no config.toml: name --network and --dataset of its files model_step_N")
        return open_finished(arguments.run_dir, arguments.overrides)[1]
    dataset = DATASETS.get(arguments.dataset)
    table: dict[str, Any] = {
        "model": {"name": NETWORKS.get(arguments.network, arguments.network)},
        "data": {"name": dataset.name if dataset else arguments.dataset},
    }
    override(table, map(parse_override, arguments.overrides))
    return from_table(table)


def _steps(text: str) -> Steps:
    """Reads "100,200", "52:1040:52" or "52::52"."""
    if re.fullmatch(r"\d+(,\d+)*", text):
        steps: Collection[int] = {int(number) for number in text.split(",")}
        return Steps(steps, steps)
    if match := re.fullmatch(r"(\d+):(\d*):(0*[1-9]\d*)", text):
        steps = range(int(match[1]), int(match[2] or LAST_STEP) + 1, int(match[3]))
        if steps:
            return Steps(steps, steps if match[2] else ())
    raise argparse.ArgumentTypeError(f"must be like 100,200 or 52:1040:52 or 52::52; got {text!r}")
