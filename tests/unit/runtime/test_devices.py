"""Which device a process computes on, for hosts with any number of them."""

from collections.abc import Callable

import pytest
import torch

from byzshield.config import RunConfig
from byzshield.errors import ConfigError
from byzshield.runtime import Builder
from byzshield.runtime.devices import choose_device

Maker = Callable[..., RunConfig]


def chosen(name: str, *, num_devices: int, ranks: int = 5) -> list[str]:
    """The devices of the ranks of one host."""
    return [choose_device("cluster.device", name, local_rank=rank, num_devices=num_devices) for rank in range(ranks)]


def test_auto_gives_the_ranks_of_a_host_its_devices_in_turn() -> None:
    assert chosen("auto", num_devices=2) == ["cuda:0", "cuda:1", "cuda:0", "cuda:1", "cuda:0"]
    assert chosen("auto", num_devices=8) == ["cuda:0", "cuda:1", "cuda:2", "cuda:3", "cuda:4"]
    assert chosen("auto", num_devices=0) == ["cpu"] * 5


def test_a_device_that_is_named_is_that_of_every_rank() -> None:
    assert set(chosen("cpu", num_devices=2)) == {"cpu"}
    assert set(chosen("cuda", num_devices=1)) == {"cuda"}
    assert set(chosen("cuda:1", num_devices=2)) == {"cuda:1"}


@pytest.mark.parametrize(("name", "num_devices"), [("cuda", 0), ("cuda:0", 0), ("cuda:2", 2)])
def test_a_device_that_the_host_does_not_have_is_refused(name: str, num_devices: int) -> None:
    with pytest.raises(ConfigError) as caught:
        chosen(name, num_devices=num_devices)
    assert str(caught.value) == (
        f'cluster.device: this machine has no \'{name}\'; use "cpu", or "auto", which takes what there is'
    )


def test_a_process_asks_its_host_and_its_place_there(tiny_run: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    config = tiny_run(cluster={"device": "auto"})
    assert [Builder(config, num_ranks=4, local_rank=rank).device for rank in range(4)] == ["cuda:0", "cuda:1"] * 2
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    builder = Builder(config)
    builder.set_threads()
    assert builder.model().parameters.device == torch.device("cpu")
    assert not torch.are_deterministic_algorithms_enabled()
