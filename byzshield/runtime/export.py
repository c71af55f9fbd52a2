"""A run's weights alone, in files that other programs load."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import torch

from byzshield.errors import CheckpointError
from byzshield.runtime.checkpoint import all_checkpoints
from byzshield.runtime.run_directory import RunDirectory
from byzshield.runtime.weights import read_weights
from byzshield.storage import atomic_write

__all__ = ["SUFFIXES", "export_weights", "find_weights"]

SUFFIXES: Final = {"torch": ".pt", "safetensors": ".safetensors"}  # by format


def find_weights(path: Path, *, step: int | None = None) -> tuple[int, dict[str, torch.Tensor]]:
    """The step of a run's newest checkpoint, or the step that is asked for, and the state_dict of its model.

    Raises:
        CheckpointError: there is none, or it is damaged.
    """
    found = dict(all_checkpoints(RunDirectory(path).checkpoints))
    if not found:
        raise CheckpointError(f"{path} has no checkpoint")
    chosen = max(found) if step is None else step
    if chosen not in found:
        raise CheckpointError(f"{path} has no checkpoint of step {chosen}; it has those of {', '.join(map(str, sorted(found)))}")
    try:
        return chosen, read_weights(found[chosen])
    except CheckpointError as error:
        if step is not None or len(found) == 1:
            raise
        raise CheckpointError(f"{error}; --step {sorted(found)[-2]} takes the one before it") from error


def export_weights(path: Path, weights: Mapping[str, torch.Tensor], *, form: str, about: Mapping[str, Any]) -> None:
    """Writes weights to a file under their names.

    Args:
        path: the file; it is replaced.
        weights: a state_dict.
        form: "torch", for `torch.load(path, weights_only=True)`, or "safetensors", for `safetensors.torch.load_file(path)`.
        about: what a file of safetensors says of itself.

    Raises:
        StorageError: it cannot be written.
    """
    # In a checkpoint all parameters are views of one vector, and neither format shall hold more than each one's own numbers.
    own = {name: tensor.clone(memory_format=torch.contiguous_format) for name, tensor in weights.items()}
    if form == "torch":
        buffer = io.BytesIO()
        torch.save(own, buffer)
        content = buffer.getvalue()
    else:
        from safetensors.torch import save

        content = save(own, metadata={"format": "pt", **{key: str(value) for key, value in about.items()}})
    with atomic_write(path) as file:
        file.write(content)
