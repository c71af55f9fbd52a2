"""The jobs with which the price of audits is measured: none is refused."""

import importlib
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from byzshield.attacks import Situation
from byzshield.runtime import Builder
from byzshield.seeding import generator

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("bench_audit")


def test_every_defense_can_be_run_against_every_number_of_liars(bench: ModuleType, tmp_path: Path) -> None:
    full = bench.Bench(bench.PRESETS["full"], tmp_path)
    for defense in bench.DEFENSES:
        for num_byzantine in (0, 3, 7, 14):
            for attack in bench.attacks(60).values():
                builder = Builder(full.config(defense, num_byzantine, attack))
                assert builder.pipeline() is not None
                assert len(builder.selection.byzantine_at(1)) == num_byzantine
                assert builder.attack is not None


def test_who_lies_once_is_honest_in_all_other_steps(bench: ModuleType, tmp_path: Path) -> None:
    attack = Builder(bench.Bench(bench.PRESETS["full"], tmp_path).config("r = 1", 3, bench.attacks(60)[bench.ONCE])).attack
    gradient = np.ones(3, dtype=np.float32)
    sent = {
        step: attack.forge(gradient, Situation(step=step, num_rows=15, num_corrupted=3, rng=generator(0, "test"))).tolist()
        for step in (44, 45, 46)
    }
    assert sent == {44: [1, 1, 1], 45: [-100, -100, -100], 46: [1, 1, 1]}
