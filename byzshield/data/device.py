"""Batches on the device that computes."""

from typing import Any

import torch

__all__ = ["moved"]


def moved(batch: Any, device: str | torch.device) -> Any:
    """The batch with all tensors in its tuples, lists and dictionaries on `device`."""
    if isinstance(batch, torch.Tensor):
        return batch.to(device)
    if isinstance(batch, dict):
        return {key: moved(value, device) for key, value in batch.items()}
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return type(batch)(*(moved(value, device) for value in batch))
    if isinstance(batch, tuple | list):
        return type(batch)(moved(value, device) for value in batch)
    return batch
