"""Groups of parameters on the flat vector: who is in which, what they do, and which mistakes are found."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from byzshield.config import from_table
from byzshield.errors import ConfigError
from byzshield.models import FlatModel
from byzshield.runtime.optimizers import build_optimizer, optimizer_classes
from byzshield.runtime.parameter_groups import parameter_groups
from byzshield.training import TrainingState

UNFIT = {"LBFGS", "SparseAdam", "Muon"}
SEES_WHOLE_TENSORS = {"Adafactor"}


def network() -> nn.Module:
    """Its flat vector: 24 weights and 4 biases of the convolution, 2 x 4 of the normalization, 12 + 3 of the last layer."""
    torch.manual_seed(3)
    return nn.Sequential(nn.Conv2d(2, 4, (1, 3)), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 3))


def places(groups: list[dict[str, Any]], module: nn.Module | None = None) -> list[list[tuple[int, int]]]:
    """The parts of the flat vector that each group has."""
    parts = parameter_groups(groups, FlatModel(module or network()))
    return [[(part.storage_offset(), part.storage_offset() + part.numel()) for part in group] for group in parts]


def test_neighbors_of_a_group_are_one_part() -> None:
    assert places([]) == [[(0, 51)]]
    assert places([{"max_ndim": 1}]) == [[(0, 24), (36, 48)], [(24, 36), (48, 51)]]
    assert places([{"match": ["1.*"]}]) == [[(0, 28), (36, 51)], [(28, 36)]]
    assert places([{"match": ["*"]}]) == [[], [(0, 51)]]


def test_a_group_takes_what_fits_a_pattern_and_has_no_more_dimensions() -> None:
    assert places([{"match": ["0.*", "3.*"], "max_ndim": 1}])[1] == [(24, 28), (48, 51)]
    assert places([{"match": ["[03].weight"], "max_ndim": 2}])[1] == [(36, 48)]


def test_a_parameter_is_in_the_first_group_that_takes_it() -> None:
    first, second = places([{"match": ["*.bias"]}, {"max_ndim": 1}])[1:]
    assert (first, second) == ([(24, 28), (32, 36), (48, 51)], [(28, 32)])


def test_frozen_parameters_are_in_no_group() -> None:
    module = network()
    module.get_submodule("0").requires_grad_(False)
    assert places([{"max_ndim": 1}], module) == [[(8, 20)], [(0, 8), (20, 23)]]
    with pytest.raises(ConfigError, match=r"no parameter's name fits '0\.\*'"):
        places([{"match": ["0.*"]}], module)


@pytest.mark.parametrize("name", sorted(set(optimizer_classes()) - UNFIT))
def test_an_optimizer_gives_the_same_bits_however_the_vector_is_split(name: str) -> None:
    def trained(groups: list[dict[str, Any]]) -> bytes:
        model = FlatModel(network())
        config = from_table({"optimizer": {"name": name, "lr": 0.01, "groups": groups}})
        state = TrainingState(model=model, optimizer=build_optimizer(config, model), scheduler=None)
        for gradient in np.random.default_rng(1).standard_normal((4, model.num_parameters)).astype(np.float32):
            state.apply(gradient, np.zeros(model.num_statistics, np.float32))
        return model.parameter_vector().tobytes()

    split = [trained(groups) for groups in ([{"max_ndim": 1}], [{"match": ["1.*"]}, {"max_ndim": 1}], [{"match": ["*"]}])]
    assert all(each == trained([]) for each in split) is (name not in SEES_WHOLE_TENSORS)


def test_groups_train_as_those_of_torch_on_the_network_itself() -> None:
    """Bit for bit, over whole networks: torch gets the parameters one by one, with their shapes."""
    groups = [{"match": ["3.*"], "lr": 0.3}, {"max_ndim": 1, "weight_decay": 0.0, "momentum": 0.5}]
    model, twin = FlatModel(network()), network()
    config = from_table({"optimizer": {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01, "groups": groups}})
    state = TrainingState(model=model, optimizer=build_optimizer(config, model), scheduler=None)
    last, flat = (
        list(twin.get_submodule("3").parameters()),
        [parameter for name, parameter in twin.named_parameters() if parameter.ndim == 1 and not name.startswith("3")],
    )
    convolution = twin.get_parameter("0.weight")
    theirs = torch.optim.SGD(
        [
            {"params": [convolution]},
            {"params": last, "lr": 0.3},
            {"params": flat, "weight_decay": 0.0, "momentum": 0.5},
        ],
        lr=0.1,
        momentum=0.9,
        weight_decay=0.01,
    )
    images, labels = torch.randn(8, 2, 1, 3), torch.arange(8) % 3
    for _ in range(4):
        vector = model.gradient(lambda module: nn.functional.cross_entropy(module(images), labels))
        state.apply(vector[: model.num_parameters], vector[model.num_parameters :])
        theirs.zero_grad()
        nn.functional.cross_entropy(twin(images), labels).backward()
        theirs.step()
    assert all(torch.equal(ours, other) for ours, other in zip(model.module.parameters(), twin.parameters(), strict=True))


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ([{"lr": 0.1}], "optimizer.groups[0]: needs match or max_ndim, which say what parameters it is for"),
        ([{"match": "1.*"}], "optimizer.groups[0].match: must be a list, each entry text; got '1.*'"),
        ([{"match": [1]}], "optimizer.groups[0].match: must be a list, each entry text; got [1]"),
        ([{"max_ndim": "1"}], "optimizer.groups[0].max_ndim: must be a whole number; got '1'"),
        ([{"max_ndim": -1}], "optimizer.groups[0].max_ndim: must be at least 0; got -1"),
        (
            [{"max_ndim": 1}, {"match": ["1.*", "1.wieght*"]}],
            "optimizer.groups[1].match: no parameter's name fits '1.wieght*'; did you mean '1.weight'?",
        ),
        ([{"match": []}], "optimizer.groups[0]: no parameter fits; leave it out"),
        ([{"match": ["3.weight"], "max_ndim": 1}], "optimizer.groups[0]: no parameter fits; leave it out"),
        (
            [{"max_ndim": 1}, {"match": ["1.*"]}],
            "optimizer.groups[1]: 2 parameters fit, and earlier groups have them all; leave it out",
        ),
        ([{"max_ndim": 1, "momentun": 0.9}], "optimizer.groups[0].momentun: SGD has no such keyword; did you mean 'momentum'?"),
        ([{"max_ndmi": 1, "match": ["*"]}], "optimizer.groups[0].max_ndmi: SGD has no such keyword; did you mean 'max_ndim'?"),
        ([{"max_ndim": 1, "params": []}], "optimizer.groups[0].params: SGD has no such keyword; known: "),
        ([{"max_ndim": 1, "momentum": "much"}], "optimizer.groups[0].momentum: must be a number; got 'much'"),
        ([{"max_ndim": 1, "weight_decay": -1}], "optimizer.groups[0]: Invalid weight_decay value: -1"),
        ([{"max_ndim": 1, "lr": -0.1}], "optimizer.groups[0]: Invalid learning rate: -0.1"),
        ([{"max_ndim": 1, "differentiable": True}], "optimizer.groups[0]: SGD fails with these values: "),
    ],
)
def test_a_mistake_in_a_group_is_found_before_training(groups: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        build_optimizer(from_table({"optimizer": {"groups": groups}}), FlatModel(network()))
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)
