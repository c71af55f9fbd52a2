"""A network, data and a loss of one's own, trained while 3 of 15 workers collude.

python examples/own_training.py                              # in one process
mpirun -n 4 python -m mpi4py examples/own_training.py        # the same job, bit for bit, in four
"""

import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import Dataset

import byzshield as bz


class Spirals(Dataset):
    """Points of two spirals around each other, a little noise added anew whenever one is fetched."""

    def __init__(self, size: int, seed: int, noise: float = 0.02) -> None:
        draw = torch.Generator().manual_seed(seed)
        self.targets = torch.arange(size) % 2
        self.angles = 1 + 4 * torch.rand(size, generator=draw)
        self.noise = noise

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        angle, target = self.angles[index], self.targets[index]
        point = torch.stack([angle.cos(), angle.sin()]) * angle / 5 * (1 - 2 * target)
        return point + self.noise * torch.randn(2), target  # byzshield seeds it, so that all copies of a file are equal


class Net(nn.Module):
    """2 -> 64 -> 64 -> 2."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(2, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 2))

    def forward(self, points: torch.Tensor) -> torch.Tensor:
        return self.layers(points)


def loss(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Cross-entropy, and a little of it for confidence."""
    return functional.cross_entropy(output, target) + 1e-4 * output.square().mean()


if __name__ == "__main__":
    result = bz.train(
        model=Net,
        train=Spirals(1500, seed=1),
        test=Spirals(1000, seed=2),
        loss=loss,
        metrics=["accuracy"],
        placement=bz.mols(5, 3),
        rule=bz.Median(),
        attack=bz.ALIE(z=1.5),
        num_byzantine=3,
        optimizer={"name": "SGD", "lr": 0.2, "momentum": 0.9},
        steps=100,
        batch_size=150,
        seed=1,
        name="own-training",
    )
    if result is not None:  # at the server; the other processes of mpirun have worked for it
        test = Spirals(1000, seed=2, noise=0.0)
        points, targets = zip(*test, strict=True)
        with torch.no_grad():
            correct = result.model(torch.stack(points)).argmax(dim=1) == torch.stack(targets)
        print(f"accuracy of the model that came back: {correct.float().mean():.3f}")
        print(f"corrupted files a step: {max(line['corrupted_files'] for line in result.history)} of 25")
        print(f"results in {result.directory}")
