"""Checkpoints that are whole or absent, and whose damage is seen."""

import io
import os
import re
from pathlib import Path
from typing import Any, Final

import torch
from blake3 import blake3

from byzshield.errors import CheckpointError, DamagedCheckpointError
from byzshield.log import get_logger
from byzshield.storage import atomic_write, named_errors
from byzshield.wire.digest import DIGEST_BYTES

__all__ = ["all_checkpoints", "check_digest", "load_checkpoint", "newest_sound", "save_checkpoint"]

LOG = get_logger(__name__)

# What torch writes is a zip archive. It ends with this record, whose last two bytes are the length of a comment behind it.
END_OF_ARCHIVE: Final = b"PK\x05\x06"
END_BYTES: Final = 22
NO_COMMENT: Final = (0).to_bytes(2, "little")
DIGEST_AS_COMMENT: Final = DIGEST_BYTES.to_bytes(2, "little")


def save_checkpoint(folder: Path, state: dict[str, Any], *, configuration: str, keep: int = 0) -> Path:
    """Writes `folder`/step_N.pt atomically, N being state["step"]; then, and only then, removes those that are not to be kept.

    The file is what `torch.save` writes, with the BLAKE3 digest of all of it as the comment of the zip archive, which
    `torch.load` does not look at.

    Args:
        folder: the run's checkpoint folder; made if missing.
        state: `ParameterServer.state_dict()`.
        configuration: the hash of the run's configuration, checked at loading.
        keep: how many checkpoints, of this step and the newest before it, stay; 0 for all.

    Raises:
        StorageError: it cannot be written; the checkpoints that were there are still there.
    """
    buffer = io.BytesIO()
    torch.save({**state, "configuration": configuration}, buffer)
    buffer.seek(-len(NO_COMMENT), os.SEEK_END)
    buffer.write(DIGEST_AS_COMMENT)
    buffer.write(blake3(buffer.getbuffer()).digest())
    path = folder / f"step_{state['step']}.pt"
    with named_errors(path):
        folder.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as file:
        file.write(buffer.getbuffer())
    if keep:
        # One of a later step is damaged, or this run would have gone on from it: it is no reason to remove a sound one.
        done = [old for step, old in all_checkpoints(folder) if step <= state["step"]]
        for old in done[:-keep]:
            with named_errors(old):
                old.unlink(missing_ok=True)
    return path


def load_checkpoint(path: Path, *, configuration: str | None = None) -> dict[str, Any]:
    """Reads a checkpoint; tensors and plain containers only, no code.

    Args:
        path: a file written by `save_checkpoint`. One without a digest, as earlier versions wrote, is read with a warning.
        configuration: the hash that it must carry; None accepts any.

    Raises:
        DamagedCheckpointError: the file is not what was written.
        CheckpointError: the file cannot be read, or belongs to another configuration.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}") from error
    verified = check_digest(path, content)
    try:
        state = torch.load(io.BytesIO(content), weights_only=True, map_location="cpu")
    except Exception as error:
        reason = " ".join(str(error).split())
        raise DamagedCheckpointError(f"{path} cannot be read as a checkpoint: {type(error).__name__}: {reason}") from error
    if not isinstance(state, dict) or "configuration" not in state:
        raise DamagedCheckpointError(f"{path} is not a checkpoint of a run")
    if configuration is not None and state["configuration"] != configuration:
        raise CheckpointError(f"{path} belongs to a run with another configuration; resume with the run file that made it")
    if not verified:
        LOG.warning("%s has no checksum, as those of earlier versions: if it is damaged, nobody can tell", path)
    return state


def newest_sound(folder: Path, *, configuration: str, up_to: int | None = None) -> tuple[Path, dict[str, Any]] | None:
    """The newest checkpoint that is not damaged, and its path; a warning names each newer one. None if there is no checkpoint.

    Args:
        folder: the run's checkpoint folder.
        configuration: the hash that it must carry.
        up_to: the last step that counts; None for any.

    Raises:
        CheckpointError: all are damaged, or one belongs to another configuration.
    """
    damage: list[str] = []
    for step, path in reversed(all_checkpoints(folder)):
        if up_to is not None and step > up_to:
            continue
        try:
            state = load_checkpoint(path, configuration=configuration)
        except DamagedCheckpointError as error:
            damage.append(str(error))
            continue
        for text in damage:
            LOG.warning("%s; %s is used in its place", text, path.name)
        return path, state
    if damage:
        older = f", and so are the {len(damage) - 1} before it" if len(damage) > 1 else ""
        raise CheckpointError(f"{damage[0]}{older}; bring back a copy, or start afresh with --overwrite")
    return None


def all_checkpoints(folder: Path) -> list[tuple[int, Path]]:
    """(step, path) of the checkpoints in `folder`, oldest first."""
    found = ((re.fullmatch(r"step_(\d+)\.pt", path.name), path) for path in folder.glob("step_*.pt"))
    return sorted((int(match[1]), path) for match, path in found if match)


def check_digest(path: Path, content: bytes) -> bool:
    """Compares the content with its digest; whether it has one.

    Raises:
        DamagedCheckpointError: it does not match, or the end of the file is missing.
    """
    end = content[-END_BYTES:]
    if end.startswith(END_OF_ARCHIVE) and end.endswith(NO_COMMENT):
        return False
    if blake3(memoryview(content)[:-DIGEST_BYTES]).digest() != content[-DIGEST_BYTES:]:
        raise DamagedCheckpointError(f"{path} is damaged or cut short: its content does not match its checksum")
    return True
