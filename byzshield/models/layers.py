"""How much passes between the layers of a network."""

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import nn

__all__ = ["layer_bytes"]

T = TypeVar("T")


def layer_bytes(module: nn.Module, run: Callable[[], T]) -> tuple[T, list[int]]:
    """Runs a pass, and notes the bytes that go into and come out of each layer that has none of its own, in turn.

    Args:
        module: the network.
        run: a forward pass of it.

    Returns:
        what `run` returns, and the bytes.
    """
    seen: list[int] = []

    def look(_: nn.Module, given: tuple[Any, ...], made: Any) -> None:
        tensors = [value for value in (*given, made) if isinstance(value, torch.Tensor)]
        seen.append(sum(value.numel() * value.element_size() for value in tensors))

    hooks = [layer.register_forward_hook(look) for layer in module.modules() if not list(layer.children())]
    try:
        return run(), seen
    finally:
        for hook in hooks:
            hook.remove()
