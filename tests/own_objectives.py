"""Losses, metrics, data and networks as a user may write them, named in tests as "own_objectives:...", good and bad."""

from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional


def regression(num_train: int = 150) -> tuple[Any, Any]:
    """Pairs of arrays: y = 2 a - b + 1."""
    inputs = np.random.default_rng(0).standard_normal((num_train + 50, 2))
    targets = inputs @ np.array([[2.0], [-1.0]]) + 1
    return (inputs[:num_train], targets[:num_train]), (inputs[num_train:], targets[num_train:])


def line(bias: bool = True) -> nn.Module:
    """2 -> 1."""
    return nn.Linear(2, 1, bias=bias)


def scaled_mse(output: torch.Tensor, target: torch.Tensor, *, scale: float = 1.0) -> torch.Tensor:
    """Takes a keyword of its own."""
    return scale * functional.mse_loss(output, target)


def of_model(module: nn.Module, batch: Any) -> torch.Tensor:
    """Is given the network and the batch."""
    inputs, target = batch
    return functional.mse_loss(module(inputs), target) + 1e-6 * sum(each.square().sum() for each in module.parameters())


def largest_error(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """A scalar of the batch."""
    return (output - target).abs().max()


def for_each_sample(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """No scalar."""
    return (output - target).square()


def constant(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Depends on nothing."""
    return torch.tensor(1.0)


def broken(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Raises."""
    raise KeyError("nothing")


def lonely(output: torch.Tensor) -> torch.Tensor:
    """Takes one argument."""
    return output.mean()
