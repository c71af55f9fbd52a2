"""What a run has stored."""

from pathlib import Path

from byzshield.runtime.checkpoint import all_checkpoints

__all__ = ["latest_checkpoint"]


def latest_checkpoint(folder: Path) -> Path | None:
    """The newest checkpoint in `folder`, or None."""
    checkpoints = all_checkpoints(folder)
    return checkpoints[-1][1] if checkpoints else None
