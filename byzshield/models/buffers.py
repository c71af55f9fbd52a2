"""Buffers that training changes in a worker, and that nothing brings to the server."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from byzshield.models.seeded import seeded

__all__ = ["changing_buffers"]


def changing_buffers(module: nn.Module, loss_of: Callable[[nn.Module], torch.Tensor], *, seed: int) -> tuple[list[str], bool]:
    """Passes a batch twice in training mode to see which buffers of floating-point numbers change.

    The running statistics of BatchNorm do, but travel with the gradients (`FlatModel`), and are left out.

    Args:
        module: the network; its buffers and its mode are as before afterwards.
        loss_of: maps it to the loss of a batch.
        seed: of torch's generators in each pass.

    Returns:
        the names of these buffers, and whether the two losses differ, which they do if the loss depends on what has changed.
    """
    own = [f"{prefix}.{name}".lstrip(".") for prefix, layer in _without_norms(module) for name in layer._buffers]
    with _buffers_kept(module) as before:
        losses = []
        for _ in range(2):
            with seeded(seed, next(module.parameters()).device):
                losses.append(loss_of(module.train()).detach())
        after = dict(module.named_buffers())
        changed = [name for name in own if name in before and not _equal(before[name], after.get(name))]
    first, second = (loss.nan_to_num() for loss in losses)
    return changed, not torch.equal(first, second)


def _without_norms(module: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    return ((prefix, layer) for prefix, layer in module.named_modules() if not isinstance(layer, _BatchNorm))


def _equal(before: torch.Tensor, after: torch.Tensor | None) -> bool:
    return not before.is_floating_point() or (after is not None and torch.equal(before, after))


@contextmanager
def _buffers_kept(module: nn.Module) -> Iterator[dict[str, torch.Tensor]]:
    """Yields copies of all buffers; behind the block the module has them again, and no tensor in the place of another."""
    training = module.training
    copies = {name: buffer.clone() for name, buffer in module.named_buffers()}
    tensors = [(layer, dict(layer._buffers)) for layer in module.modules()]
    values = [(buffer, buffer.clone()) for buffer in module.buffers()]
    try:
        yield copies
    finally:
        for layer, buffers in tensors:
            layer._buffers.update(buffers)
        for buffer, value in values:
            buffer.detach().copy_(value)
        module.train(training)
