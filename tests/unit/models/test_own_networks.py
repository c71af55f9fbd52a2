"""A user's own model by "module:name": a class or a function."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from byzshield.config import RunConfig, from_table
from byzshield.errors import ConfigError
from byzshield.models import changing_buffers
from byzshield.runtime import Builder, simulate


def run_of(
    name: str, options: dict[str, Any] | None = None, *, channels: int = 1, num_classes: int = 10, output_dir: str = "runs"
) -> RunConfig:
    return from_table(
        {
            "run": {"steps": 2, "output_dir": output_dir},
            "cluster": {"num_workers": 15},
            "data": {
                "name": "synthetic",
                "batch_size": 75,
                "image_shape": [channels, 8, 8],
                "num_classes": num_classes,
                "num_train": 150,
                "num_test": 20,
            },
            "placement": {"scheme": "mols", "replication": 3},
            "model": {"name": name, **(options or {})},
        }
    )


def output_of(module: nn.Module) -> nn.Linear:
    *_, last = module.modules()
    assert isinstance(last, nn.Linear)
    return last


def test_a_function_gets_what_the_program_gives_and_its_own_keywords() -> None:
    output = output_of(Builder(run_of("own_networks:linear", {"bias": False}, num_classes=7, channels=2)).model().module)
    assert (output.in_features, output.out_features, output.bias) == (128, 7, None)


def test_a_function_that_passes_its_keywords_on_gets_the_number_of_classes_and_no_image_shape() -> None:
    assert output_of(Builder(run_of("own_networks:pooled", num_classes=7)).model().module).out_features == 7


def test_a_function_that_takes_nothing_gets_nothing() -> None:
    assert output_of(Builder(run_of("own_networks:for_ten_classes")).model().module).out_features == 10


def test_a_class_that_takes_any_keyword_gets_all_that_the_program_gives() -> None:
    assert output_of(Builder(run_of("own_networks:AnyKeyword", channels=3, num_classes=4)).model().module).in_features == 192


def test_a_model_of_torchvision_is_built_with_the_classes_of_the_data() -> None:
    torch.set_num_threads(1)
    model = Builder(run_of("torchvision.models:resnet18", {"progress": False}, channels=3, num_classes=5)).model().module
    assert type(model).__module__ == "torchvision.models.resnet"
    assert output_of(model).out_features == 5
    assert model.training


def test_a_function_trains(tmp_path: Path) -> None:
    _, summary = simulate(run_of("own_networks:linear", output_dir=str(tmp_path)))
    assert (summary["steps"], summary["skipped_steps"]) == (2, 0)


def test_the_same_seed_gives_the_same_weights_and_the_check_of_a_network_moves_none() -> None:
    first, second = (Builder(run_of("own_networks:normalized")).model() for _ in range(2))
    assert first.parameter_vector().tobytes() == second.parameter_vector().tobytes()
    assert [norm.running_mean.tolist() for norm in first.module.modules() if isinstance(norm, nn.BatchNorm2d)] == [[0.0]]


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("own_networks:no_network", {}, "model.name: own_networks:no_network makes no torch.nn.Module"),
        ("own_networks:NoModule", {}, "model.name: own_networks:NoModule makes no torch.nn.Module"),
        ("own_networks:nothing", {}, "model.name: model 'own_networks:nothing' cannot be imported: "),
        ("own_networks:linear", {"biass": True}, "model.biass: linear has no such keyword; did you mean 'bias'?"),
        ("own_networks:linear", {"bias": 3}, "model.bias: must be true or false; got 3"),
        ("own_networks:linear", {"num_classes": 3}, "model.num_classes: linear has no such keyword"),
        ("own_networks:pooled", {"width": 3}, "model: pooled cannot be made of these values: "),
        (
            "own_networks:for_ten_classes",
            {},
            "model.name: own_networks:for_ten_classes must map images of shape [2, 1, 8, 8] to [2, 5]; got [2, 10]",
        ),
        (
            "torch.nn:Identity",
            {},
            "model.name: torch.nn:Identity: a model needs parameters with requires_grad=True; Identity has none",
        ),
        ("torchvision.models:resnet18", {}, "model.name: torchvision.models:resnet18 fails on images of shape [2, 1, 8, 8]: "),
    ],
)
def test_what_is_no_network_for_these_images_is_refused(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Builder(run_of(name, options, num_classes=5)).model()
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_a_network_whose_loss_depends_on_a_buffer_that_training_changes_is_refused() -> None:
    with pytest.raises(ConfigError) as caught:
        Builder(run_of("own_networks:Scaled")).server()
    assert str(caught.value).startswith(
        "model.name: own_networks:Scaled: training changes the buffer scale, and the loss depends on it: each process has another"
    )


def test_a_buffer_that_does_not_come_back_from_the_workers_is_told_of(caplog: pytest.LogCaptureFixture) -> None:
    server = Builder(run_of("own_networks:Averaged")).server()
    (told,) = [record.getMessage() for record in caplog.records]
    assert told.startswith("model.name: own_networks:Averaged: training changes the buffer center in the workers")
    assert server.state.model.module.center == 0
    assert server.state.model.module.training


def test_statistics_of_batch_norm_and_constant_buffers_are_no_reason_to_say_anything(caplog: pytest.LogCaptureFixture) -> None:
    Builder(run_of("own_networks:normalized")).server()
    assert not caplog.records
    network = nn.Sequential(nn.BatchNorm2d(1), nn.Flatten(), nn.Dropout(0.5), nn.Linear(64, 10))
    network.register_buffer("constant", torch.ones(3))
    before = {name: buffer.clone() for name, buffer in network.named_buffers()}
    assert changing_buffers(network, lambda module: module(torch.ones(2, 1, 8, 8)).sum(), seed=1) == ([], False)
    assert all(torch.equal(buffer, before[name]) for name, buffer in network.named_buffers())


@pytest.mark.parametrize(
    ("network", "found"),
    [
        (nn.utils.parametrizations.spectral_norm(nn.Linear(64, 10)), True),
        (nn.Sequential(nn.Unflatten(1, (1, 64)), nn.InstanceNorm1d(1, track_running_stats=True)), False),
    ],
    ids=["spectral norm", "instance norm"],
)
def test_modules_of_torch_that_keep_other_buffers_are_found(network: nn.Module, found: bool) -> None:
    network.append(nn.Linear(64, 1)) if isinstance(network, nn.Sequential) else None
    before = {name: buffer.clone() for name, buffer in network.named_buffers()}
    inputs = torch.arange(128.0).reshape(2, 64).sin()
    changed, matters = changing_buffers(network, lambda module: module(inputs).square().mean(), seed=1)
    assert changed
    assert matters == found
    assert all(torch.equal(buffer, before[name]) for name, buffer in network.named_buffers())
