"""A network's weights from a file: one of our checkpoints, or a bare state_dict."""

import io
import re
from pathlib import Path
from typing import Any, Final

import torch

from byzshield.errors import CheckpointError, ParameterError
from byzshield.models.published import adopt
from byzshield.runtime.checkpoint import check_digest

__all__ = ["load_weights", "published_checkpoints", "read_weights"]

ARCHIVE: Final = b"PK\x03\x04"  # of torch 1.6 and later; older files have no place for a digest


def load_weights(path: Path, module: torch.nn.Module) -> None:
    """Loads the weights of a checkpoint of ours, or of a bare state_dict, into a network; no code in the file is run.

    Args:
        path: a file of torch.save, of any version.
        module: changed in place.

    Raises:
        CheckpointError: the file is missing or damaged, holds more than tensors, or belongs to another network.
    """
    try:
        adopt(module, read_weights(path))
    except ParameterError as error:
        raise CheckpointError(f"{path} belongs to another network: {error}") from error


def published_checkpoints(folder: Path) -> list[tuple[int, Path]]:
    """(step, path) of the files model_step_N of the published code in `folder`, oldest first."""
    found = ((re.fullmatch(r"model_step_(\d+)", path.name), path) for path in folder.glob("model_step_*"))
    return sorted((int(match[1]), path) for match, path in found if match)


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """The state_dict in a checkpoint of ours, or that which the file is; no code in it is run.

    Raises:
        CheckpointError: the file is missing or damaged, or holds more than tensors.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror or error}") from error
    if content.startswith(ARCHIVE):
        check_digest(path, content)
    try:
        state: Any = torch.load(io.BytesIO(content), weights_only=True, map_location="cpu")
    except Exception as error:  # whatever the bytes of a damaged or hostile file lead to
        raise CheckpointError(f"{path} is no file of weights alone, as torch.save(model.state_dict(), path) writes it") from error
    if isinstance(state, dict) and "configuration" in state:
        state = state.get("model")
    if not isinstance(state, dict) or not all(isinstance(name, str) for name in state):
        raise CheckpointError(f"{path} holds no state_dict")
    if strangers := [name for name, tensor in state.items() if not isinstance(tensor, torch.Tensor)]:
        raise CheckpointError(f"{path} holds no state_dict: {strangers[0]!r} is no tensor")
    return dict(state)
