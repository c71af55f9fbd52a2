"""Runs that last without using the cores: other tests need them."""

import time
from typing import Any

import torch

from byzshield.models import MLP

__all__ = ["Drowsy", "drowsy"]


class Drowsy(MLP):
    """An MLP that sleeps in each forward pass; it computes what the other one does.

    Args:
        seconds: for how long.
        options: the MLP's.
    """

    def __init__(self, *, seconds: float, **options: Any) -> None:
        super().__init__(**options)
        self.seconds = seconds

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """[b, channels, height, width] -> [b, num_classes]."""
        time.sleep(self.seconds)
        return super().forward(images)


def drowsy(seconds: float) -> dict[str, Any]:
    """The section `model` of a run whose processes find this module; ranks of the tiny run compute up to 25 gradients a step."""
    return {"name": "drowsy:Drowsy", "seconds": seconds}
