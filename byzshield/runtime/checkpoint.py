"""Checkpoints that are whole or absent."""

import re
from pathlib import Path
from typing import Any

import torch

from byzshield.errors import CheckpointError
from byzshield.storage import atomic_write

__all__ = ["all_checkpoints", "latest_checkpoint", "load_checkpoint", "save_checkpoint"]


def save_checkpoint(folder: Path, state: dict[str, Any], *, configuration: str) -> Path:
    """Writes `folder`/step_N.pt atomically, N being state["step"].

    Args:
        folder: the run's checkpoint folder; made if missing.
        state: `ParameterServer.state_dict()`.
        configuration: the hash of the run's configuration, checked at loading.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"step_{state['step']}.pt"
    with atomic_write(path) as file:
        torch.save({**state, "configuration": configuration}, file)
    return path


def load_checkpoint(path: Path, *, configuration: str | None = None) -> dict[str, Any]:
    """Reads a checkpoint; tensors and plain containers only, no code.

    Args:
        path: a file written by `save_checkpoint`.
        configuration: the hash that it must carry; None accepts any.

    Raises:
        CheckpointError: the file is missing, damaged, or of another configuration.
    """
    try:
        state = torch.load(path, weights_only=True, map_location="cpu")
    except Exception as error:
        raise CheckpointError(f"{path} cannot be read as a checkpoint: {type(error).__name__}: {error}") from error
    if not isinstance(state, dict) or "configuration" not in state:
        raise CheckpointError(f"{path} is not a checkpoint of a run")
    if configuration is not None and state["configuration"] != configuration:
        raise CheckpointError(f"{path} belongs to a run with another configuration; resume with the run file that made it")
    return state


def all_checkpoints(folder: Path) -> list[tuple[int, Path]]:
    """(step, path) of the checkpoints in `folder`, oldest first."""
    found = ((re.fullmatch(r"step_(\d+)\.pt", path.name), path) for path in folder.glob("step_*.pt"))
    return sorted((int(match[1]), path) for match, path in found if match)


def latest_checkpoint(folder: Path) -> Path | None:
    """The newest checkpoint in `folder`, or None."""
    checkpoints = all_checkpoints(folder)
    return checkpoints[-1][1] if checkpoints else None
