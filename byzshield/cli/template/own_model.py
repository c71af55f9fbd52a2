"""The model: any torch.nn.Module. What the run file has in [model] beside the name are its keywords."""

import torch
from torch import nn


class Net(nn.Module):
    """A small network for images of 8 x 8 pixels and 3 classes."""

    def __init__(self, *, hidden: int = 64) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(64, hidden), nn.ReLU(), nn.Linear(hidden, 3))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """[b, 1, 8, 8] -> [b, 3]."""
        logits: torch.Tensor = self.layers(images)
        return logits
