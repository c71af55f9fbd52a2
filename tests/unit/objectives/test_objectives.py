"""Losses and metrics, from a run file to numbers."""

import math
from typing import Any, ClassVar

import pytest
import torch
from torch import nn
from torch.nn import functional

from byzshield.config import from_table
from byzshield.errors import ConfigError, ParameterError
from byzshield.objectives import LOSSES, METRICS
from byzshield.runtime import Builder, simulate

LOGITS = torch.tensor([[2.0, 1.0, 0.0], [0.0, 3.0, 1.0], [1.0, 0.0, 4.0], [5.0, 0.0, 0.0]])
CLASSES = torch.tensor([0, 1, 2, 1])
VALUES, TARGETS = torch.tensor([1.0, 2.0, -1.0]), torch.tensor([1.0, 4.0, 2.0])
EXPECTED: dict[str, tuple[Any, Any, float]] = {
    "cross_entropy": (LOGITS, CLASSES, float(functional.cross_entropy(LOGITS, CLASSES))),
    "nll_loss": (LOGITS, CLASSES, -(2 + 3 + 4 + 0) / 4),
    "mse_loss": (VALUES, TARGETS, (0 + 4 + 9) / 3),
    "l1_loss": (VALUES, TARGETS, (0 + 2 + 3) / 3),
    "huber_loss": (VALUES, TARGETS, (0 + 1.5 + 2.5) / 3),
    "binary_cross_entropy_with_logits": (torch.zeros(2), torch.tensor([0, 1]), math.log(2)),
    "accuracy": (LOGITS, CLASSES, 0.75),
    "top5_accuracy": (LOGITS, CLASSES, 1.0),
    "mean_squared_error": (VALUES, TARGETS, (0 + 4 + 9) / 3),
    "mean_absolute_error": (VALUES, TARGETS, (0 + 2 + 3) / 3),
}
SECTIONS: dict[str, dict[str, Any]] = {
    "run": {"steps": 60},
    "data": {"name": "own_objectives:regression", "batch_size": 75},
    "model": {"name": "own_objectives:line"},
    "placement": {"scheme": "mols", "load": 5, "replication": 3},
    "loss": {"name": "mse_loss"},
    "optimizer": {"lr": 0.1},
}


def builder_of(**sections: dict[str, Any]) -> Builder:
    return Builder(from_table({**SECTIONS, **sections}))


def test_every_registered_loss_and_metric_has_a_case_worked_by_hand() -> None:
    assert {*LOSSES.names(), *METRICS.names()} == EXPECTED.keys()


@pytest.mark.parametrize("name", EXPECTED)
def test_it_is_as_worked_by_hand(name: str) -> None:
    output, target, expected = EXPECTED[name]
    registry = LOSSES if name in LOSSES.names() else METRICS
    assert float(registry.get(name)(output, target).float().mean()) == pytest.approx(expected)


def test_tokens_are_compared_place_by_place() -> None:
    output, target = LOGITS.view(2, 2, 3), CLASSES.view(2, 2)
    assert float(LOSSES.get("cross_entropy")(output, target)) == pytest.approx(EXPECTED["cross_entropy"][2])
    assert METRICS.get("accuracy")(output, target).tolist() == [[True, True], [True, False]]
    six = torch.arange(6.0).repeat(2, 1)  # of which 0 is not among the five greatest
    assert METRICS.get("top5_accuracy")(six, torch.tensor([0, 1])).tolist() == [False, True]


@pytest.mark.parametrize("name", ["mse_loss", "l1_loss", "huber_loss", "mean_squared_error", "cross_entropy"])
def test_shapes_that_torch_would_broadcast_are_refused(name: str) -> None:
    registry = LOSSES if name in LOSSES.names() else METRICS
    with pytest.raises(ParameterError, match=r"got \[3, 1\] and \[3\]|got \[4, 3\] and \[3\]"):
        registry.get(name)(*((LOGITS, CLASSES[:3]) if name == "cross_entropy" else (VALUES[:, None], TARGETS)))


@pytest.mark.parametrize(
    "loss",
    [
        {"name": "mse_loss"},
        {"name": "own_objectives:scaled_mse", "scale": 0.5},
        {"name": "own_objectives:of_model", "takes": "model"},
        {"name": "torch.nn:MSELoss"},
        {"name": "torch.nn.functional:mse_loss"},
    ],
)
def test_a_regression_is_trained_by_any_loss_and_has_no_accuracy(loss: dict[str, Any], tmp_path: Any) -> None:
    metrics = [] if loss.get("takes") else ["mean_squared_error", "own_objectives:largest_error"]
    sections = {
        **SECTIONS,
        "run": {"steps": 60, "output_dir": str(tmp_path)},
        "evaluation": {"metrics": metrics, "batch_size": 7},
    }
    _, summary = simulate(from_table({**sections, "loss": loss}))
    assert summary["test_loss"] < 0.01
    assert summary["test_accuracy"] is None
    if metrics:
        assert summary["test_mean_squared_error"] == pytest.approx(summary["test_loss"] / loss.get("scale", 1.0))
        assert 0 < summary["test_largest_error"] < 0.3


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"loss": {"name": "mse"}}, "loss.name: unknown loss 'mse'; known: binary_cross"),
        ({"loss": {"name": "mse_loss", "delta": 1.0}}, "loss.delta: mse has no such keyword"),
        ({"loss": {"name": "huber_loss", "delta": "big"}}, "loss.delta: must be a number; got 'big'"),
        ({"loss": {"name": "own_objectives:lonely"}}, "loss.name: own_objectives:lonely must take two arguments"),
        ({"loss": {"name": "mse_loss", "takes": "model"}}, 'loss.takes: "model" is for your own function'),
        ({"loss": {"name": "own_objectives:broken"}}, "do not fit together: KeyError: 'nothing' (own_objectives.py, line"),
        ({"loss": {"name": "own_objectives:for_each_sample"}}, "a loss must be a scalar .*; got a tensor of shape [2, 1]"),
        ({"loss": {"name": "own_objectives:constant"}}, "got a scalar without a gradient"),
        ({"model": {"name": "torch.nn:Identity"}}, "model.name: torch.nn:Identity: "),
        (
            {"data": {**SECTIONS["data"], "augment": True}},
            "data.augment: crops and flips the images of byzshield's own data sets",
        ),
        (
            {"evaluation": {"metrics": ["acuracy"]}},
            "evaluation.metrics[0].name: unknown metric 'acuracy'; did you mean 'accuracy'",
        ),
        ({"evaluation": {"metrics": ["accuracy", "x:accuracy"]}}, "evaluation.metrics[1].name: there is already a test_accuracy"),
        ({"evaluation": {"metrics": ["own_objectives:broken"]}}, "a metric does not fit network and data: KeyError"),
        ({"model": {"name": "lenet"}}, "model.name: lenet needs image_shape and num_classes, which data.name"),
    ],
)
def test_what_does_not_fit_is_told_in_one_line_before_training(sections: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        builder_of(**sections).model()
    assert all(part in str(caught.value) for part in message.split(" .*"))
    assert "\n" not in str(caught.value)


def test_what_the_data_do_not_tell_a_network_the_run_file_can() -> None:
    told = {"image_shape": [1, 1, 2], "num_classes": 1}
    linear = builder_of(model={"name": "own_networks:linear", **told}).model()
    assert linear.num_parameters == 3
    pooled = {"name": "own_networks:pooled", "num_classes": 3}  # by **keywords
    assert len(builder_of(model=pooled)._module()(torch.zeros(1, 1, 4, 4))[0]) == 3
    with pytest.raises(ConfigError, match=r"needs image_shape and num_classes, .*; set model.image_shape and model"):
        builder_of(model={"name": "own_networks:linear"}).model()


def test_bfloat16_is_used_in_the_forward_pass_alone() -> None:
    class Seen(nn.Linear):
        kinds: ClassVar[list[torch.dtype]] = []

        def forward(self, rows: torch.Tensor) -> torch.Tensor:
            output = super().forward(rows)
            self.kinds.append(output.dtype)
            return output

    builder = builder_of(cluster={"precision": "bfloat16"})
    object.__setattr__(builder, "objects", builder.objects.__class__(model=lambda: Seen(2, 1)))
    gradient = builder.computer(1, 0)
    assert Seen.kinds[-1] == torch.bfloat16
    assert gradient.dtype == "float32"
    assert not (gradient == builder_of().computer(1, 0)).all()
    assert (gradient == builder.computer(1, 0)).all()
