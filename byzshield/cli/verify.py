"""`byzshield verify`: checks a run against its record, without trust in who has run it."""

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from byzshield.errors import ConfigError
from byzshield.log import get_logger
from byzshield.strict_json import dumps

if TYPE_CHECKING:
    from byzshield.runtime.verification import Verifier

__all__ = ["add_parser"]

LOG = get_logger(__name__)
MOST_SHOWN = 20


def add_parser(subparsers: Any) -> None:
    """Adds the command."""
    parser = subparsers.add_parser(
        "verify",
        description="Checks the chain of record.jsonl and the weights of all checkpoints, and recomputes files of the run from "
        "its run file and checkpoints: all of them, a random share, or one. Weights are in checkpoints alone, so a file costs "
        "all files of the steps between the checkpoint before it and its own. Exits with 1 if anything is not as recorded. It "
        "needs the same software and the same kind of processor, since another one may round differently.",
        epilog="example: byzshield verify runs/audited --sample 0.05",
    )
    parser.add_argument("run_dir", type=Path, metavar="RUN_DIR")
    parser.add_argument("--step", type=int, metavar="N", help="only this step")
    parser.add_argument("--file", type=int, metavar="I", help="only this file of it, from 0")
    parser.add_argument(
        "--sample",
        type=float,
        metavar="P",
        help="this share of the stretches between two checkpoints, drawn at random, and at least one, each as a whole; the more "
        "checkpoints (run.checkpoint_every), the finer the sample",
    )
    parser.add_argument(
        "--against",
        type=Path,
        metavar="OTHER_DIR",
        help="find the first step in which this run and another one differ, and check it",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Runs the command."""
    from byzshield.runtime import open_finished
    from byzshield.runtime.verification import Verifier, first_difference

    if arguments.file is not None and arguments.step is None:
        raise ConfigError("--file: needs --step, the step of that file")
    if arguments.sample is not None and not 0 < arguments.sample <= 1:
        raise ConfigError(f"--sample: must be more than 0 and at most 1; got {arguments.sample:g}")
    if sum(given is not None for given in (arguments.step, arguments.sample, arguments.against)) > 1:
        raise ConfigError("--step, --sample and --against exclude each other")
    directory, config = open_finished(arguments.run_dir)
    verifier = Verifier(directory, config)
    step = arguments.step
    if arguments.against is not None:
        step = first_difference(directory, open_finished(arguments.against)[0])
        if not arguments.json:
            print("the weights never differ" if step is None else f"the weights differ from step {step} on")
    verifier.check_checkpoints()
    if step is not None:
        wanted = {step: verifier.everything.get(step, []) if arguments.file is None else [arguments.file]}
    elif arguments.sample is not None:
        wanted = verifier.draw(arguments.sample)
    else:
        wanted = {} if arguments.against is not None else verifier.everything
    verifier.check(wanted)
    drawn = sum(map(len, wanted.values()))
    if arguments.json:
        result = verifier.result
        more: dict[str, Any] = {"sound": result.sound, "drawn": drawn}
        if arguments.against is not None:
            more["first_difference"] = step
        print(dumps({**asdict(result), **more}))
    else:
        _print(arguments.run_dir, verifier, drawn)
    return 0 if verifier.result.sound else 1


def _print(path: Path, verifier: "Verifier", drawn: int) -> None:
    result = verifier.result
    if result.broken is None:
        print(f"record.jsonl: {result.lines} lines, and the chain holds; its end is {result.head}")
    else:
        print(f"record.jsonl: line {result.broken} of {result.lines} is not what was written")
    print(f"checkpoints: {result.checkpoints} compared with the record")
    steps = len(verifier.recorded_steps)
    print(
        f"recomputed: {result.files} files, among them {result.reached} of the {drawn} that were asked for, and "
        f"{result.steps} of {steps} steps as a whole"
    )
    for finding in result.findings[:MOST_SHOWN]:
        print(finding.words)
    if len(result.findings) > MOST_SHOWN:
        print(f"and {len(result.findings) - MOST_SHOWN} more; --json lists all")
    print(f"{path} is {'as recorded' if result.sound else 'NOT as recorded'}")
