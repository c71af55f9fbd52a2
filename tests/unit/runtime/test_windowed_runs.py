"""Runs whose server holds its winners by windows of columns."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from byzshield.config import RunConfig
from byzshield.errors import ConfigError
from byzshield.runtime import Builder, simulate
from byzshield.runtime.memory import bytes_needed

Maker = Callable[..., RunConfig]
# 25 winners of 15,011 values are 1.43 MiB, in 8 chunks of which 25 make 195 KiB: five fit into a MiB.
WIDE: dict[str, Any] = {"model": {"hidden": [200]}, "cluster": {"chunk_elements": 2000}}
FREE = "byzshield.runtime.building.combination.available_memory"


@pytest.mark.parametrize("rule", ["median", "trimmed_mean"])
def test_a_run_by_windows_ends_with_the_weights_of_one_with_all_winners(
    tiny_run: Maker,
    weights_of: Callable[..., dict[str, torch.Tensor]],
    same_weights: Callable[..., bool],
    rule: str,
) -> None:
    attack = {"name": "constant", "num_byzantine": 3}
    weights = []
    for name, winners_mib in (("whole", "auto"), ("windows", 1)):
        config = tiny_run(**WIDE, run={"name": name}, attack=attack, aggregation={"rule": rule, "winners_mib": winners_mib})
        assert Builder(config).window == (5 if winners_mib == 1 else None)
        directory, summary = simulate(config)
        weights.append(weights_of(directory.path))
        assert summary["skipped_steps"] == summary["undecided_files"] == 0
    assert same_weights(*weights)


def test_auto_takes_windows_where_the_winners_take_more_than_half_of_what_is_free(
    tiny_run: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny_run(**WIDE)
    whole = 4 * 25 * Builder(config).computer.size
    for free, window in ((None, None), (2 * whole, None), (2 * whole - 2, 1)):
        monkeypatch.setattr(FREE, lambda free=free: free)
        assert Builder(config).window == window
    krum = tiny_run(**WIDE, aggregation={"rule": "krum"})
    assert Builder(krum).window is None


def test_a_window_is_what_the_server_needs(tiny_run: Maker) -> None:
    whole, windows = (Builder(tiny_run(**WIDE, aggregation={"winners_mib": number})) for number in (2, 1))
    d, p = whole.computer.size, whole.computer.num_parameters
    assert bytes_needed(whole, 0) - bytes_needed(windows, 0) == 4 * 25 * (d - 5 * 2000 - (d - p))
    assert windows.server()._combiner.matrix.shape == (25, 5 * 2000)


@pytest.mark.parametrize(
    "sections",
    [
        {"aggregation": {"rule": "krum"}},
        {"aggregation": {"pre": ["nnm"]}},
        {"cluster": {"exchange": "full"}},
        {"aggregation": {"momentum": 0.9}, "data": {"split": "iid"}},
    ],
    ids=["distances", "pre-aggregator", "full exchange", "momentum"],
)
def test_too_little_room_is_refused_where_windows_do_not_work(tiny_run: Maker, sections: dict[str, dict[str, Any]]) -> None:
    cluster = WIDE["cluster"] | sections.get("cluster", {})
    aggregation = {"winners_mib": 1} | sections.get("aggregation", {})
    config = tiny_run(**WIDE | sections | {"cluster": cluster, "aggregation": aggregation})
    with pytest.raises(ConfigError, match=r"aggregation\.winners_mib: the winners take 1 MiB .* use winners_mib = 2 or more"):
        Builder(config).server()
