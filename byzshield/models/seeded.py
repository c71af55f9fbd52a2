"""Torch's global random numbers, for as long as a network needs them."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

__all__ = ["seeded"]


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Inside the block the generators of the CPU and of `device` start from `seed`; behind it they go on as before.

    `torch.manual_seed` would seed all kinds of devices, and format a stack trace for each kind that has not been used yet, which
    takes about as long as the gradient of a small network.

    >>> with seeded(1, torch.device("cpu")):
    ...     first = torch.rand(3)
    >>> torch.equal(first, torch.rand(3, generator=torch.Generator().manual_seed(1)))
    True
    """
    on_gpu = device.type == "cuda"
    with torch.random.fork_rng(devices=[device] if on_gpu else []):
        torch.default_generator.manual_seed(seed)
        if on_gpu:
            torch.cuda.default_generators[torch.cuda.current_device() if device.index is None else device.index].manual_seed(seed)
        yield
