"""The data: a function that returns samples to train on and to test with. Every process calls it, and has to get the same."""

import torch
from torch.utils.data import Dataset


class Bars(Dataset):
    """Images of a bright row, column or diagonal, under noise; any data set with __len__ and __getitem__ will do."""

    def __init__(self, count: int, *, seed: int) -> None:
        stream = torch.Generator().manual_seed(seed)
        self.images = torch.rand(count, 1, 8, 8, generator=stream) - 0.5
        self.targets = torch.arange(count) % 3
        for image, target in zip(self.images[:, 0], self.targets, strict=True):
            place, cells = torch.randint(8, (), generator=stream), torch.arange(8)
            rows, columns = [(place, cells), (cells, place), (cells, (cells + place) % 8)][target]
            image[rows, columns] += 1

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        """An image, float32 [1, 8, 8], and its class. Of a step, a worker asks for the samples of its own files alone."""
        return self.images[index], self.targets[index]


def load() -> tuple[Bars, Bars]:
    """To train on, and to test with."""
    return Bars(3000, seed=1), Bars(600, seed=2)
