"""`byzshield evaluate`: the test accuracy of a run's checkpoints."""

import argparse
import time
from pathlib import Path
from typing import Any

from byzshield.strict_json import dumps

__all__ = ["add_parser"]

POLL_SECONDS = 2.0


def add_parser(subparsers: Any) -> None:
    """Adds the command."""
    parser = subparsers.add_parser(
        "evaluate",
        help="test accuracy of each checkpoint of a run",
        description="Prints step, test accuracy and test loss of each checkpoint in RUN_DIR.",
        epilog="example: byzshield evaluate runs/quickstart",
    )
    parser.add_argument("run_dir", type=Path, metavar="RUN_DIR")
    parser.add_argument("--watch", action="store_true", help="go on with new checkpoints until the run has its summary")
    parser.add_argument("--json", action="store_true", help="print one JSON document at the end")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Runs the command."""
    from byzshield.errors import ConfigError
    from byzshield.runtime import Builder, open_finished
    from byzshield.runtime.checkpoint import all_checkpoints, load_checkpoint

    directory, config = open_finished(arguments.run_dir)
    builder = Builder(config)
    builder.set_threads()
    model = builder.model()
    rows: list[dict[str, Any]] = []
    done: set[int] = set()
    while True:
        finished = directory.summary.exists()
        for step, path in all_checkpoints(directory.checkpoints):
            if step in done:
                continue
            done.add(step)
            model.module.load_state_dict(load_checkpoint(path)["model"])
            accuracy, loss = builder.evaluate(model)
            rows.append({"step": step, "test_accuracy": accuracy, "test_loss": loss})
            if not arguments.json:
                print(f"step {step}: test accuracy {accuracy:.4f}, loss {loss:.4f}", flush=True)
        if finished or not arguments.watch:
            break
        time.sleep(POLL_SECONDS)
    if not rows:
        raise ConfigError(f"{arguments.run_dir} has no checkpoint yet; --watch waits for one")
    if arguments.json:
        print(dumps({"run": str(arguments.run_dir), "checkpoints": rows}))
    return 0
