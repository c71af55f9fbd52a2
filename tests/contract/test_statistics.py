"""BatchNorm statistics and the loss are those of the data, whatever combines the gradients and whatever is forged."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from byzshield.aggregation import AGGREGATORS, PRE_AGGREGATORS
from byzshield.config import RunConfig
from byzshield.models import FlatModel
from byzshield.runtime import Builder, simulate
from byzshield.runtime.metrics import read_metrics

Maker = Callable[..., RunConfig]
NORMED = {"name": "normed:Normed"}
STATISTICS = ("norm.running_mean", "norm.running_var")
ATTACKS = [
    {"name": "constant", "value": -100.0},
    {"name": "alie", "z": 1.5},
    {"name": "reversed_gradient"},
    {"name": "fall_of_empires"},
]


def trained(config: RunConfig, weights_of: Callable[[Path], dict[str, torch.Tensor]], num_ranks: int = 2) -> dict[str, Any]:
    directory, _ = simulate(config, num_ranks=num_ranks, overwrite=True)
    return weights_of(directory.path)


def statistics_of_files(config: RunConfig, step: int = 1) -> np.ndarray:
    """[f, s - 1]: the batch means and variances of each file at the initial parameters."""
    builder = Builder(config)
    p = builder.computer.num_parameters
    return np.stack([builder.computer(step, file)[p:-1] for file in range(builder.assignment.num_files)])


def moved(statistics: np.ndarray) -> list[np.ndarray]:
    """The running buffers after one step from (0, 1), with torch's momentum of 0.1."""
    mean, variance = np.split(statistics, 2)
    return [0.1 * mean, 0.9 + 0.1 * variance]


@pytest.mark.parametrize("rule", AGGREGATORS.names())
def test_under_every_rule(tiny_run: Maker, weights_of: Callable[[Path], dict[str, torch.Tensor]], rule: str) -> None:
    config = tiny_run(model=NORMED, aggregation={"rule": rule, "num_corrupted": 2}, run={"steps": 1})
    weights = trained(config, weights_of)
    ordered = np.sort(statistics_of_files(config).astype(np.float64), axis=0)
    for name, expected in zip(STATISTICS, moved(ordered[2:-2].mean(axis=0)), strict=True):
        np.testing.assert_allclose(weights[name].numpy(), expected, rtol=1e-5, atol=1e-6)
    more = trained(tiny_run(model=NORMED, aggregation={"rule": rule, "num_corrupted": 2}, run={"steps": 4}), weights_of)
    assert (more["norm.running_var"] > 0).all()


@pytest.mark.parametrize("name", PRE_AGGREGATORS.names())
def test_under_every_pre_aggregator(tiny_run: Maker, weights_of: Callable[[Path], dict[str, torch.Tensor]], name: str) -> None:
    config = tiny_run(model=NORMED, aggregation={"pre": [name], "num_corrupted": 0}, run={"steps": 1})
    weights = trained(config, weights_of)
    expected = moved(statistics_of_files(config).astype(np.float64).mean(axis=0))
    for buffer, values in zip(STATISTICS, expected, strict=True):
        np.testing.assert_allclose(weights[buffer].numpy(), values, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("num_ranks", [2, 6, 16])
@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack["name"])
@pytest.mark.parametrize("knowledge", ["omniscient", "own"])
def test_an_attack_forges_no_statistics_unless_it_is_told_to(
    tiny_run: Maker,
    weights_of: Callable[[Path], dict[str, torch.Tensor]],
    attack: dict[str, Any],
    knowledge: str,
    num_ranks: int,
) -> None:
    def after_a_step(**options: Any) -> dict[str, Any]:
        section = {**attack, "num_byzantine": 3, "selection": "worst", "knowledge": knowledge, **options}
        config = tiny_run(model=NORMED, attack=section, aggregation={"num_corrupted": 3}, run={"steps": 1})
        return trained(config, weights_of, num_ranks)

    honest = after_a_step(num_byzantine=0)
    attacked = after_a_step()
    assert all(torch.equal(attacked[name], honest[name]) for name in STATISTICS)
    assert not torch.equal(attacked["output.weight"], honest["output.weight"])
    forged = after_a_step(forge_statistics=True)
    assert not all(torch.equal(forged[name], honest[name]) for name in STATISTICS)


def test_forged_statistics_of_fewer_files_than_the_rule_tolerates_stay_within_those_of_the_others(
    tiny_run: Maker, weights_of: Callable[[Path], dict[str, torch.Tensor]]
) -> None:
    attack = {"name": "constant", "value": -1e6, "num_byzantine": 3, "selection": "worst", "forge_statistics": True}
    config = tiny_run(model=NORMED, attack=attack, aggregation={"rule": "median"}, run={"steps": 1})
    weights = trained(config, weights_of)
    statistics = statistics_of_files(config)
    for name, low, high in zip(STATISTICS, moved(statistics.min(axis=0)), moved(statistics.max(axis=0)), strict=True):
        assert (weights[name].numpy() >= low - 1e-6).all()
        assert (weights[name].numpy() <= high + 1e-6).all()


def test_statistics_that_are_not_finite_drop_their_file(
    tiny_run: Maker, weights_of: Callable[[Path], dict[str, torch.Tensor]], monkeypatch: pytest.MonkeyPatch
) -> None:
    gradient = FlatModel.gradient
    calls = []

    def spoiled(self: FlatModel, loss_of: Any) -> Any:
        vector = gradient(self, loss_of)
        calls.append(None)
        if len(calls) == 7:
            vector[-2] = np.inf
        return vector

    monkeypatch.setattr(FlatModel, "gradient", spoiled)
    config = tiny_run(model=NORMED, run={"steps": 1}, aggregation={"num_corrupted": 1})
    directory, summary = simulate(config, overwrite=True)
    assert summary["skipped_steps"] == 0
    assert {counts["non_finite"] for counts in summary["blamed"].values()} == {1}
    assert all(values.isfinite().all() for values in weights_of(directory.path).values())


def test_the_training_loss_is_recorded(tiny_run: Maker) -> None:
    directory, summary = simulate(tiny_run())
    config = tiny_run()
    lines = read_metrics(directory.metrics)
    builder = Builder(config)
    expected = np.mean([builder.computer(1, file)[-1] for file in range(25)])
    assert lines[0]["loss"] == pytest.approx(expected, rel=1e-6)
    assert lines[-1]["loss"] == summary["train_loss"] < lines[0]["loss"]


@pytest.mark.parametrize(
    "options",
    [
        {"optimizer": {"name": "SGD", "lr": 0.1, "weight_decay": 0.5}},
        {"optimizer": {"name": "AdamW", "lr": 0.1}},
        {"attack": {"name": "constant", "num_byzantine": 7}, "aggregation": {"rule": "mean", "num_corrupted": 0}},
    ],
    ids=["weight decay", "AdamW", "constant attack"],
)
def test_nothing_moves_what_is_frozen(
    tiny_run: Maker, weights_of: Callable[[Path], dict[str, torch.Tensor]], options: dict[str, Any]
) -> None:
    config = tiny_run(model={"name": "normed:HalfFrozen"}, **options)
    start = Builder(config).model().module.state_dict()
    weights = trained(config, weights_of)
    assert all(torch.equal(weights[name], start[name]) for name in ("hidden.weight", "hidden.bias"))
    assert not torch.equal(weights["output.weight"], start["output.weight"])
