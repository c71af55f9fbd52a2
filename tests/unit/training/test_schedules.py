"""Learning rates by hand, over steps that are applied and steps that are skipped, and over a checkpoint."""

import io
import math
from typing import Any

import numpy as np
import pytest
import torch

from byzshield.config import from_table
from byzshield.models import FlatModel
from byzshield.runtime.optimizers import build_optimizer
from byzshield.runtime.schedules import build_scheduler
from byzshield.training import TrainingState

WARM_UP = [{"name": "LinearLR", "steps": 4, "start_factor": 0.25}, {"name": "CosineAnnealingLR", "T_max": 4}]
SCHEDULES: dict[str, dict[str, Any]] = {
    "exponential_steps": {"name": "exponential_steps", "gamma": 0.5, "step_size": 3},
    "warm-up and cosine": {"name": "sequence", "parts": WARM_UP},
    "three parts": {
        "name": "sequence",
        "parts": [
            {"name": "ConstantLR", "steps": 2, "factor": 0.5},
            {"name": "exponential_steps", "steps": 3, "gamma": 0.5, "step_size": 2},
            {"name": "ExponentialLR", "gamma": 0.5},
        ],
    },
    "torch's own": {"name": "StepLR", "gamma": 0.5, "step_size": 3},
}
COSINE = [(1 + math.cos(math.pi * step / 4)) / 2 for step in range(4)]
RATES = {
    "exponential_steps": [1, 1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25],
    "warm-up and cosine": [0.25, 0.4375, 0.625, 0.8125, *COSINE],
    "three parts": [0.5, 0.5, 1, 0.5, 0.5, 1, 0.5, 0.25],
    "torch's own": [1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25],
}


def state_of(schedule: dict[str, Any], *, updates: int = 100) -> TrainingState:
    config = from_table({"optimizer": {"lr": 1.0, "momentum": 0.9}, "schedule": schedule})
    torch.manual_seed(0)
    model = FlatModel(torch.nn.Linear(3, 2))
    optimizer = build_optimizer(config, model)
    return TrainingState(model=model, optimizer=optimizer, scheduler=build_scheduler(config, optimizer, updates=updates))


def rates(state: TrainingState, events: str) -> list[float]:
    """The rate before each event: "a" an applied step, "s" a skipped one."""
    found = []
    for event in events:
        found.append(state.learning_rate)
        if event == "a":
            state.apply(np.ones(state.model.num_parameters, np.float32), np.zeros(state.model.num_statistics, np.float32))
        else:
            state.skip()
    return found


@pytest.mark.parametrize("name", SCHEDULES)
def test_the_first_rates_are_those_by_hand(name: str) -> None:
    assert rates(state_of(SCHEDULES[name]), "a" * 8) == pytest.approx(RATES[name])


def test_a_schedule_without_a_length_ends_with_the_run_or_with_its_part() -> None:
    cosine, halfway = {"name": "CosineAnnealingLR"}, [(1 + math.cos(math.pi * step / 2)) / 2 for step in range(2)]
    assert rates(state_of(cosine, updates=4), "aaaa") == pytest.approx(COSINE)
    parts = [WARM_UP[0], {**cosine, "steps": 2}, cosine]
    assert rates(state_of({"name": "sequence", "parts": parts}, updates=10), "a" * 10) == pytest.approx(
        [*RATES["warm-up and cosine"][:4], *halfway, *COSINE]
    )
    assert rates(state_of({"name": "sequence", "parts": [WARM_UP[0], cosine]}, updates=3), "aaa") == [0.25, 0.4375, 0.625]
    one_cycle = rates(state_of({"name": "OneCycleLR", "max_lr": 1.0}, updates=9), "a" * 9)
    assert (max(one_cycle), one_cycle[-1]) == (pytest.approx(1, abs=0.05), pytest.approx(4e-6))


@pytest.mark.parametrize("events", ["ssssssss", "aassaaaa", "saasasaa"])
def test_exponential_steps_counts_skipped_steps(events: str) -> None:
    assert rates(state_of(SCHEDULES["exponential_steps"]), events) == RATES["exponential_steps"]


def test_schedules_of_torch_do_not_count_skipped_steps() -> None:
    assert rates(state_of(SCHEDULES["torch's own"]), "sasaas") == [1, 1, 1, 1, 1, 0.5]
    assert rates(state_of(SCHEDULES["warm-up and cosine"]), "sas") == pytest.approx([0.25, 0.25, 0.4375])


def test_a_sequence_counts_the_skipped_steps_of_the_parts_that_do() -> None:
    found = rates(state_of(SCHEDULES["three parts"]), "saassassaa")  # of the skipped ones, only the 4th falls under the 2nd part
    assert found == [0.5, 0.5, 0.5, 1, 0.5, 0.5, 1, 1, 1, 0.5]


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("cut", range(1, 8))
@pytest.mark.parametrize("events", ["aaaaaaaa", "asaasaas"])
def test_a_resumed_run_has_the_rates_and_weights_of_an_uninterrupted_one(name: str, cut: int, events: str) -> None:
    whole = state_of(SCHEDULES[name])
    expected = rates(whole, events)
    before = state_of(SCHEDULES[name])
    found = rates(before, events[:cut])
    file = io.BytesIO()
    torch.save(before.state_dict(), file)
    file.seek(0)
    after = state_of(SCHEDULES[name])
    after.load_state_dict(torch.load(file, weights_only=True))
    assert found + rates(after, events[cut:]) == expected
    assert after.model.parameter_vector().tobytes() == whole.model.parameter_vector().tobytes()
