"""Label flip: which gradients are sent, by workers that also do honest work on the same rank."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from byzshield.arrays import Float32
from byzshield.attacks import LabelFlip
from byzshield.config import RunConfig
from byzshield.data import MapDataset
from byzshield.errors import ConfigError, ParameterError
from byzshield.runtime import Builder, simulate
from byzshield.runtime.objects import Objects
from byzshield.runtime.simulation import Simulation

Maker = Callable[..., RunConfig]


def flipped(builder: Builder, parameters: Float32, file: int) -> Float32:
    """The gradient of a file of step 1 on labels 9 - y, by torch alone."""
    inputs, labels = builder.file_batch(1, file)
    module = builder.model().module
    nn.utils.vector_to_parameters(torch.from_numpy(parameters), module.parameters())
    nn.functional.cross_entropy(module(inputs), 9 - labels).backward()
    return np.concatenate([parameter.grad.reshape(-1).numpy() for parameter in module.parameters()])


def first_round(config: RunConfig, num_ranks: int) -> tuple[Builder, Float32, dict[int, Float32]]:
    """The builder, the initial parameters and the gradients that the server has taken in step 1."""
    builder = Builder(config, num_ranks=num_ranks)
    builder.set_threads()
    server = builder.server()
    parameters = server.state.model.parameter_vector()
    Simulation(server, {rank: builder.worker(rank) for rank in range(1, num_ranks)}).run_round()
    assert server._round is not None
    return builder, parameters, dict(enumerate(np.array(server._combiner.matrix)))


ATTACK = {"name": "label_flip", "num_byzantine": 4}


@pytest.mark.parametrize("num_ranks", [2, 16])
@pytest.mark.parametrize("exchange", ["digest", "full"])
def test_each_file_that_they_win_has_its_own_flipped_gradient_and_the_others_the_true_one(
    tiny_run: Maker, num_ranks: int, exchange: str
) -> None:
    config = tiny_run(attack=ATTACK, cluster={"exchange": exchange})
    builder, parameters, winners = first_round(config, num_ranks)
    won = builder.selection.corrupted_at(1)
    assert won
    for file, winner in winners.items():
        true = builder.gradient(parameters, 1, file)
        if file in won:
            assert np.allclose(winner[: parameters.size], flipped(builder, parameters, file), atol=1e-6)
            assert winner[-1] != true[-1]  # the loss, too, is that of the false labels
        else:
            assert np.array_equal(winner, true)


@pytest.mark.parametrize("knowledge", ["own", "omniscient"])
def test_their_mean_is_that_of_all_that_they_know(tiny_run: Maker, knowledge: str) -> None:
    builder, parameters, winners = first_round(tiny_run(attack={**ATTACK, "sent": "mean", "knowledge": knowledge}), 4)
    members = builder.selection.byzantine_at(1)
    workers_of = builder.assignment.workers_of
    known = [file for file in range(25) if knowledge == "omniscient" or np.isin(workers_of[file], members).any()]
    mean = np.mean([flipped(builder, parameters, file) for file in known], axis=0)
    for file in builder.selection.corrupted_at(1):
        assert np.allclose(winners[file][: parameters.size], mean, atol=1e-6)


@pytest.mark.parametrize("num_ranks", [2, 16])
def test_on_files_that_they_are_not_to_forge_they_vote_with_the_others(tiny_run: Maker, num_ranks: int) -> None:
    config = tiny_run(run={"steps": 1}, attack={**ATTACK, "files": "majority"}, cluster={"exchange": "full"})
    _, summary = simulate(config, num_ranks=num_ranks)
    # Who is outvoted is honest, and holds a file that they win.
    assert summary["corrupted_files_max"] > 0
    members = Builder(config).selection.byzantine_at(1)
    assert summary["blamed"].keys().isdisjoint(map(str, members))


def test_labels_that_are_no_class_stay() -> None:
    batch = torch.zeros(4, 1), torch.tensor([0, 2, -100, 7])
    inputs, labels = LabelFlip(num_classes=3).poison(batch, None)
    assert inputs is batch[0]
    assert labels.tolist() == [2, 0, -100, 7]
    assert LabelFlip().poison(batch, 8)[1].tolist() == [7, 5, -100, 0]


@pytest.mark.parametrize(
    ("batch", "num_classes", "message"),
    [
        ((torch.zeros(2, 1), torch.zeros(2, 1)), 10, "with classes, whole numbers, as labels"),
        (torch.zeros(2, 1), 10, "with classes, whole numbers, as labels"),
        ({"x": torch.zeros(2, 1)}, 10, "with classes, whole numbers, as labels"),
        ((torch.zeros(2, 1), torch.zeros(2, dtype=torch.int64)), None, "set num_classes"),
    ],
)
def test_what_has_no_labels_is_refused(batch: Any, num_classes: int | None, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        LabelFlip().poison(batch, num_classes)


def test_a_run_whose_data_have_no_classes_is_refused_in_one_line(tiny_run: Maker) -> None:
    inputs = torch.randn(300, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    targets: dict[str, tuple[torch.Tensor, str]] = {
        "numbers": (inputs.flatten(1)[:, :1], r"^attack\.name: label_flip needs samples that are pairs"),
        "unnumbered": (torch.zeros(300, dtype=torch.int64), r"^attack\.name: label_flip needs to know how many classes"),
        "truths": (torch.zeros(300, dtype=torch.bool), r"^attack\.name: label_flip "),
    }
    for labels, message in targets.values():
        samples = torch.utils.data.TensorDataset(inputs, labels)
        objects = Objects(data=MapDataset(train=samples, test=samples))
        with pytest.raises(ConfigError, match=message):
            Builder(tiny_run(attack=ATTACK), objects=objects).poison  # noqa: B018 - it is made when it is asked for
