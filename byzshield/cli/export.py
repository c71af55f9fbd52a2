"""`byzshield export`: the trained weights alone."""

import argparse
from pathlib import Path
from typing import Any

from byzshield.errors import ConfigError

__all__ = ["add_parser"]

DESCRIPTION = """\
Writes the weights of a run's newest checkpoint, or of that of --step, to a file: parameters and buffers (the statistics of
BatchNorm, for instance) under the names that they have in the network, and nothing else. No byzshield is needed to load it:

  module.load_state_dict(torch.load("weights_step_300.pt", weights_only=True))
  module.load_state_dict(safetensors.torch.load_file("weights_step_300.safetensors"))"""


def add_parser(subparsers: Any) -> None:
    """Adds the command."""
    parser = subparsers.add_parser(
        "export",
        description=DESCRIPTION,
        epilog="example: byzshield export runs/quickstart --format safetensors",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("run_dir", type=Path, metavar="RUN_DIR")
    parser.add_argument("--format", choices=["torch", "safetensors"], default="torch", help="(default: torch)")
    parser.add_argument("--step", type=int, metavar="N", help="the step of the checkpoint (default: the newest)")
    parser.add_argument("--output", type=Path, metavar="FILE", help="(default: weights_step_N in RUN_DIR)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Runs the command."""
    from byzshield.runtime.export import SUFFIXES, export_weights, find_weights

    if not arguments.run_dir.is_dir():
        raise ConfigError(f"{arguments.run_dir} is not a run's directory")
    step, weights = find_weights(arguments.run_dir, step=arguments.step)
    output = arguments.output or arguments.run_dir / f"weights_step_{step}{SUFFIXES[arguments.format]}"
    export_weights(output, weights, form=arguments.format, about={"run": arguments.run_dir.resolve().name, "step": step})
    print(f"{output}: {len(weights)} tensors, {sum(tensor.numel() for tensor in weights.values())} numbers, of step {step}")
    return 0
