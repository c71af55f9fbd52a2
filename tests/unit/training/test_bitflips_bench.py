"""A worker whose memory turns a bit: who is accused, and who is back, as the benchmark plays it."""

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

SCRIPT = Path(__file__).parents[3] / "benchmarks" / "bench_bitflips.py"


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    spec = importlib.util.spec_from_file_location("bench_bitflips", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def flip(bench: ModuleType, **changes: Any) -> Any:
    values = {"place": "gradients", "sticky": False, "bit": 0, "position": 0.5, "layer": 0.5, "value": False, **changes}
    return bench.Flip(**values)


def test_a_bit_turns_and_turns_back_and_one_that_is_stuck_stays(bench: ModuleType) -> None:
    values = torch.arange(8, dtype=torch.float32)
    turned = values.clone()
    flip(bench, bit=31).apply(turned)
    assert turned.tolist() == [0, 1, 2, 3, -4, 5, 6, 7]
    flip(bench, bit=31).apply(turned)
    assert torch.equal(turned, values)
    for _ in range(2):
        flip(bench, bit=31, sticky=True, value=True).apply(turned)
        assert turned[4] == -4
    flip(bench, bit=31, sticky=True, value=False).apply(turned)
    assert turned[4] == 4


def test_with_two_copies_a_wrong_bit_convicts_its_worker_alone_which_is_back_if_it_was_once(bench: ModuleType) -> None:
    arbitrated = bench.Bench(bench._config(bench.DEFENSES["r = 2, arbitration"]))
    for place in ("weights", "activations", "gradients"):
        found = arbitrated.trial(flip(bench, place=place, bit=30, position=0.3, layer=0.0), 3, 1)
        assert found == {"accused": [3], "steps": 1, "wrong_steps": 1, "back": True}, place
    stuck = arbitrated.trial(flip(bench, sticky=True, bit=23, value=True, position=0.999), 1, 4)
    assert (stuck["accused"], stuck["back"]) == ([1], False)
    harmless = arbitrated.trial(flip(bench, place="weights", sticky=True, bit=30), 1, 2)  # of a weight of less than 2, it is 0
    assert harmless == {"accused": [], "steps": 2, "wrong_steps": 0, "back": False}


def test_shares_have_wilsons_interval(bench: ModuleType) -> None:
    assert bench._share(10, 10) == {"share": 1.0, "low": pytest.approx(0.7225, abs=1e-4), "high": 1.0, "of": 10}
    assert bench._share(1, 10)["high"] == pytest.approx(0.4042, abs=1e-4)
    assert bench._share(0, 0) is None
