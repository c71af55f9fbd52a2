"""Evaluation: the network sees a part of the test samples at a time, and what is reported stays what it is of the whole batch."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from byzshield.data import Dataset
from byzshield.models import MODELS
from byzshield.objectives import Objective, losses
from byzshield.training import evaluation
from byzshield.training.evaluation import FEWEST, InParts, evaluate


class Wide(nn.Module):
    """A network of which each sample takes 2 MiB between the layers, and which notes how many come at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.spread, self.gather = nn.Linear(4, 1 << 18), nn.Linear(1 << 18, 3)
        self.seen: list[int] = []

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        self.seen.append(len(inputs))
        values: torch.Tensor = self.gather(self.spread(inputs.flatten(1)))
        return values


class TimeFirst(nn.Module):
    """A network whose output has no line for each sample."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[int] = []

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        self.seen.append(len(inputs))
        return inputs.flatten(1).T


def images(shape: tuple[int, int, int], count: int = 60) -> Dataset:
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (count, *shape), dtype=np.uint8)
    labels = np.arange(count, dtype=np.int64) % 3
    moments = (0.5,) * shape[0]
    return Dataset(
        train_images=pictures,
        train_labels=labels,
        test_images=pictures,
        test_labels=labels,
        num_classes=3,
        mean=moments,
        std=moments,
    )


def test_no_more_samples_come_at_a_time_than_their_layers_have_memory_for() -> None:
    network = Wide()
    evaluate(network, images((1, 2, 2)), Objective(loss=losses.cross_entropy))
    assert network.seen[0] == 2  # which tell how wide the layers are
    assert max(network.seen[1:]) == FEWEST
    assert sum(network.seen[1:]) == 60


@pytest.mark.parametrize("name", ["lenet", "mlp", "resnet18"])
def test_loss_and_metrics_are_those_of_the_whole_batch(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    shape = (3, 32, 32) if name == "resnet18" else (1, 28, 28)
    network = MODELS.get(name)(image_shape=shape, num_classes=3)
    objective = Objective(loss=losses.cross_entropy, metrics={"first": lambda output, _: output[:, 0].max()})
    monkeypatch.setattr(evaluation, "BETWEEN_LAYERS", 1 << 20)
    in_parts = evaluate(network, images(shape), objective)
    monkeypatch.setattr(evaluation, "BETWEEN_LAYERS", 1 << 40)
    # Not bit for bit: how a product of matrices adds up may depend on the number of rows.
    assert evaluate(network, images(shape), objective) == pytest.approx(in_parts, rel=1e-5)


def test_a_network_whose_output_has_no_line_a_sample_sees_them_all_at_once() -> None:
    network = TimeFirst()
    inputs = torch.zeros(60, 1, 2, 2)
    assert InParts(network)(inputs).shape == (4, 60)
    assert network.seen == [2, 60]


def test_a_loss_that_is_given_the_module_gets_the_network_itself() -> None:
    network, given = Wide(), []

    def loss(module: nn.Module, batch: Any) -> torch.Tensor:
        given.append(module)
        return torch.tensor(float(len(batch[0])))

    assert evaluate(network, images((1, 2, 2)), Objective(loss=loss, takes_model=True)) == {"loss": 60.0}
    assert given == [network]
