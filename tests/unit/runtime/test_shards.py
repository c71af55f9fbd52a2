"""Files that are bound to shards, and their momenta, from the run file to the last step."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from byzshield.config import RunConfig
from byzshield.errors import ConfigError
from byzshield.runtime import Builder, simulate
from byzshield.runtime.memory import bytes_needed

Maker = Callable[..., RunConfig]
MOMENTUM = {"data": {"split": "iid"}, "aggregation": {"momentum": 0.9}}
ATTACK = {"name": "alie", "num_byzantine": 3}
ASPIS = {"placement": {"scheme": "aspis"}, "vote": {"name": "aspis"}, "cluster": {"num_workers": 9}}


def test_each_file_stays_with_the_classes_of_its_shard(tiny_run: Maker) -> None:
    builder = Builder(tiny_run(data={"split": "label_sorted"}))
    labels = builder.data.train_labels
    assert labels is not None
    for file in range(25):
        seen = {label for step in range(1, 20) for label in labels[builder.sampler.rows(step, file)].tolist()}
        assert seen == set(np.sort(labels)[12 * file : 12 * file + 12].tolist())


def test_every_process_cuts_the_same_shards_and_another_seed_others(tiny_run: Maker) -> None:
    split = {"split": "dirichlet", "alpha": 0.5}
    ours, theirs = (Builder(tiny_run(data=split), num_ranks=ranks).sampler.indices(3) for ranks in (2, 16))
    assert np.array_equal(ours, theirs)
    assert not np.array_equal(ours, Builder(tiny_run(data=split, run={"seed": 2})).sampler.indices(3))


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        (
            {"aggregation": {"momentum": 0.9}},
            'momentum: is that of a shard, so files must be bound to shards; use data.split = "iid"',
        ),
        (
            {**MOMENTUM, "attack": {**ATTACK, "selection": "random"}},
            "momentum: with attack.redraw_every, .* aggregation.num_corrupted=3$",
        ),
        (
            {**MOMENTUM, "attack": ATTACK, "placement": {"permute": True}},
            "momentum: with placement.permute, .* aggregation.num_corrupted=3$",
        ),
        (
            {
                "data": {"split": "iid"},
                "cluster": {"exchange": "coded"},
                "placement": {"scheme": "cyclic"},
                "aggregation": {"rule": "mean", "momentum": 0.9},
            },
            '"coded" recovers no file alone',
        ),
    ],
)
def test_momenta_that_nobody_could_trust_are_refused(tiny_run: Maker, sections: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Builder(tiny_run(**sections)).server()


@pytest.mark.parametrize(
    "sections",
    [
        {"attack": {**ATTACK, "selection": "random", "redraw_every": 0}},
        {"attack": {**ATTACK, "selection": "random"}, "aggregation": {"momentum": 0.9, "num_corrupted": 3}},
        {"placement": {"permute": True}},
    ],
    ids=["drawn once", "asked for", "nobody lies"],
)
def test_other_momenta_are_not(tiny_run: Maker, sections: dict[str, Any]) -> None:
    Builder(tiny_run(**{**MOMENTUM, **sections})).server()


def test_with_momenta_all_files_count_that_detection_ever_lets_through(tiny_run: Maker) -> None:
    def most(**sections: dict[str, Any]) -> int:
        table = {"attack": ATTACK, **ASPIS, **sections}
        return Builder(tiny_run(**table)).most_corrupted

    split = {"batch_size": 84, "split": "iid"}
    assert most(data=split) == 10
    assert most(data=split, aggregation={"momentum": 0.9}) == 19  # as in the plain vote


def test_momenta_change_the_result_and_are_the_same_on_any_number_of_ranks(
    tiny_run: Maker,
    weights_of: Callable[[Path], dict[str, torch.Tensor]],
    same_weights: Callable[..., bool],
) -> None:
    sections = {"data": {"split": "gamma", "gamma": 0.3}, "attack": ATTACK}
    plain, few, many = (
        weights_of(simulate(tiny_run(**sections, run={"name": name}, aggregation={"momentum": beta}), num_ranks=ranks)[0].path)
        for name, beta, ranks in (("plain", 0.0, 2), ("few", 0.9, 2), ("many", 0.9, 16))
    )
    assert same_weights(few, many)
    assert not same_weights(plain, few)


def test_with_the_mean_momenta_of_shards_are_the_momentum_of_the_optimizer(
    tiny_run: Maker, weights_of: Callable[[Path], dict[str, torch.Tensor]]
) -> None:
    def trained(name: str, *, shards: float, optimizer: float) -> torch.Tensor:
        rule = {"rule": "mean", "momentum": shards, "momentum_form": "sum"}
        config = tiny_run(run={"name": name}, data={"split": "iid"}, aggregation=rule, optimizer={"momentum": optimizer})
        return torch.cat([values.flatten() for values in weights_of(simulate(config)[0].path).values()])

    ours, theirs = trained("shards", shards=0.9, optimizer=0.0), trained("optimizer", shards=0.0, optimizer=0.9)
    assert torch.allclose(ours, theirs, rtol=0, atol=1e-6)
    assert not torch.allclose(ours, trained("none", shards=0.0, optimizer=0.0), rtol=0, atol=1e-2)


def test_momenta_count_for_the_memory_that_a_server_needs(tiny_run: Maker) -> None:
    plain, with_momenta = Builder(tiny_run()), Builder(tiny_run(**MOMENTUM))
    assert bytes_needed(with_momenta, 0) - bytes_needed(plain, 0) == 4 * 25 * plain.computer.size


def test_a_shard_that_is_smaller_than_its_share_of_a_batch_is_told(tiny_run: Maker, caplog: pytest.LogCaptureFixture) -> None:
    Builder(tiny_run(data={"split": "iid"})).server()
    assert not caplog.text
    Builder(tiny_run(data={"split": "dirichlet", "alpha": 0.1, "batch_size": 300})).server()
    assert "the smallest shard has 1 samples, and each step takes 12 of it" in caplog.text
