"""Schedules of a user's own: by name in a run file, as functions and classes in a Python program, and over a checkpoint."""

from functools import partial
from typing import Any

import numpy as np
import own_schedules
import pytest
import torch
from torch.optim import Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, OneCycleLR, StepLR

from byzshield.config import RunConfig, dump, from_table
from byzshield.errors import ComputationError, ConfigError
from byzshield.models import FlatModel
from byzshield.runtime.optimizers import build_optimizer
from byzshield.runtime.request import read_request
from byzshield.runtime.schedules import build_scheduler
from byzshield.training import TrainingState
from byzshield.training.schedules import Factors

WARM = [0.25 * 1, 0.5 * 0.9375, 0.75 * 0.875, 0.8125, 0.75, 0.6875, 0.625, 0.5625]  # of 8 updates


def state_of(config: RunConfig, *, updates: int = 8, own: Any = None) -> TrainingState:
    torch.manual_seed(0)
    model = FlatModel(torch.nn.Linear(3, 2))
    optimizer = build_optimizer(config, model)
    scheduler = build_scheduler(config, optimizer, updates=updates, own=own)
    return TrainingState(model=model, optimizer=optimizer, scheduler=scheduler)


def named(**schedule: Any) -> RunConfig:
    return from_table({"optimizer": {"lr": 1.0, "momentum": 0.9}, "schedule": schedule})


def given(schedule: Any) -> tuple[RunConfig, Any]:
    config, objects = read_request(None, {"schedule": schedule, "optimizer": {"lr": 1.0, "momentum": 0.9}})
    return config, objects.schedules


def rates(state: TrainingState, updates: int = 8) -> list[float]:
    found = []
    for _ in range(updates):
        found.append(state.learning_rate)
        state.apply(np.ones(state.model.num_parameters, np.float32), np.zeros(state.model.num_statistics, np.float32))
    return found


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ({"name": "own_schedules:warm_up"}, WARM),
        ({"name": "own_schedules:warm_up", "over": 1}, [1 - n / 16 for n in range(8)]),
        ({"name": "own_schedules:Halved", "every": 3}, [1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25]),
        (
            {"name": "sequence", "parts": [{"name": "own_schedules:warm_up", "steps": 4}, {"name": "own_schedules:Halved"}]},
            [0.25, 0.4375, 0.5625, 0.625, 1, 1, 0.5, 0.5],
        ),
    ],
)
def test_a_run_file_names_a_function_or_a_class(schedule: dict[str, Any], expected: list[float]) -> None:
    assert rates(state_of(named(**schedule))) == pytest.approx(expected)


def test_a_function_may_make_a_schedule_of_torch_for_the_whole_run() -> None:
    ours = rates(state_of(named(name="own_schedules:one_cycle", top=2.0)))
    assert ours == rates(state_of(named(name="OneCycleLR", max_lr=2.0)))


@pytest.mark.parametrize(
    ("schedule", "like"),
    [
        (own_schedules.warm_up, {"name": "own_schedules:warm_up"}),
        ({"name": own_schedules.warm_up, "over": 2}, {"name": "own_schedules:warm_up", "over": 2}),
        (own_schedules.Halved, {"name": "own_schedules:Halved"}),
        (CosineAnnealingLR, {"name": "CosineAnnealingLR"}),
        (lambda n: 0.5**n, {"name": "ExponentialLR", "gamma": 0.5}),
        (partial(OneCycleLR, max_lr=2.0), {"name": "OneCycleLR", "max_lr": 2.0}),
        (partial(OneCycleLR, max_lr=2.0, total_steps=20), {"name": "OneCycleLR", "max_lr": 2.0, "total_steps": 20}),
        (
            {"name": "sequence", "parts": [{"name": lambda n: 0.5**n, "steps": 3}, {"name": lambda n: 1 / (1 + n)}]},
            {
                "name": "sequence",
                "parts": [{"name": "ExponentialLR", "gamma": 0.5, "steps": 3}, {"name": "own_schedules:inverse"}],
            },
        ),
    ],
)
def test_a_program_gives_what_a_run_file_would_name(schedule: Any, like: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_schedules, "inverse", lambda n: 1 / (1 + n), raising=False)
    config, own = given(schedule)
    assert rates(state_of(config, own=own)) == pytest.approx(rates(state_of(named(**like))))
    assert dump(config).count("<lambda>") == len([name for name in own if name.startswith("<")])


@pytest.mark.parametrize("name", ["warm_up", "Halved"])
def test_a_checkpoint_goes_on_with_the_rates_of_the_run_that_was_not_interrupted(name: str, tmp_path: Any) -> None:
    whole, first, second = (state_of(named(name=f"own_schedules:{name}")) for _ in range(3))
    rates(first, 5)
    torch.save(first.state_dict(), tmp_path / "state.pt")  # which no function of a user's own may keep from being stored
    second.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    assert rates(second, 3) == rates(whole)[5:]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        (
            "another",
            r"schedule: own_schedules:another: its factor after 0 updates is 0\.\d+ and then 0\.\d+; let it depend on that",
        ),
        (
            "negative",
            "schedule: own_schedules:negative fails with these values: the factor of the rate must be a finite nu",
        ),
        ("table", r"schedule: own_schedules:table fails: IndexError: list index out of range \(own_schedules.py, line \d+\)$"),
        ("text", "schedule: the factor of the rate must be a finite number of at least 0; after 0 updates got 'fast'"),
        ("keywords_alone", "schedule.name: own_schedules:keywords_alone must be a class of schedules, take `optimizer` and make"),
        ("no_schedule", "schedule.name: own_schedules:no_schedule makes no LRScheduler of the optimizer; got int"),
        ("of_another", "schedule.name: own_schedules:of_another makes a schedule of another optimizer"),
        ("failing", r"schedule: own_schedules:failing fails: AttributeError: no such thing \(own_schedules.py, line \d+\)$"),
        ("Multiplied", "schedule.name: own_schedules:Multiplied needs lr_lambda, which a run file cannot express"),
        ("nothing", "schedule.name: schedule 'own_schedules:nothing' cannot be imported: module 'own_schedules' has no"),
        ("CALLS", "schedule.name: schedule 'own_schedules:CALLS' must be a function or a class"),
    ],
)
def test_what_is_no_schedule_is_refused_before_the_run(name: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=f"^{reason}") as refused:
        state_of(named(name=f"own_schedules:{name}"))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("schedule", "reason"),
    [
        ({"name": "own_schedules:warm_up", "ower": 3}, "schedule.ower: warm_up has no such keyword; did you mean 'over'?"),
        ({"name": "own_schedules:warm_up", "over": "x"}, "schedule.over: must be a whole number; got 'x'"),
        ({"name": "own_schedules:warm_up", "updates": 3}, "schedule.updates: warm_up has no such keyword"),
        ({"name": "own_schedules:one_cycle"}, "schedule.top: is required by one_cycle"),
        ({"name": "<lambda>"}, "schedule.name: schedule <lambda> was an object of a Python program, and is only known there"),
        ({"name": "sequence", "parts": [{"name": "own_schedules:text"}]}, "schedule.parts[0]: the factor of the rate must be"),
    ],
)
def test_keywords_of_ones_own_are_checked_as_those_of_torch(schedule: dict[str, Any], reason: str) -> None:
    with pytest.raises(ConfigError) as refused:
        state_of(named(**schedule))
    assert str(refused.value).startswith(reason)


@pytest.mark.parametrize(
    ("schedule", "reason"),
    [
        (
            StepLR(torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=0.1), 3),
            "schedule: must be a table of its keys or a name",
        ),
        ({"name": "LambdaLR", "lr_lambda": lambda n: 1.0}, "schedule.lr_lambda: cannot be a function; give your own schedule as"),
        (3, "schedule: must be a table of its keys or a name"),
    ],
)
def test_what_a_program_cannot_give_is_refused_in_one_line(schedule: Any, reason: str) -> None:
    with pytest.raises(ConfigError) as refused:
        given(schedule)
    assert str(refused.value).startswith(reason)
    assert "\n" not in str(refused.value)


def test_a_schedule_that_fails_later_ends_the_run_and_leaves_nothing_to_store() -> None:
    class FailsLater(StepLR):
        def get_lr(self) -> list[float]:
            if self.last_epoch == 5:
                raise KeyError("five")
            return [1.0]

    config, own = given({"name": FailsLater, "step_size": 3})
    state = state_of(config, own=own)
    rates(state, 4)
    assert state.finite
    with pytest.raises(ComputationError, match="the schedule has failed after 5 updates: KeyError: 'five'"):
        rates(state, 1)
    assert not state.finite


def test_factors_are_of_the_rate_of_each_group() -> None:
    parameters = [torch.nn.Parameter(torch.ones(1)) for _ in range(2)]
    optimizer: Optimizer = torch.optim.SGD([{"params": parameters[:1]}, {"params": parameters[1:], "lr": 0.2}], lr=0.1)
    schedule = Factors(optimizer, lambda n: 1 / (1 + n))
    optimizer.step()
    schedule.step()
    assert schedule.get_last_lr() == [0.05, 0.1]


@pytest.mark.parametrize("updates", [1, 2])
def test_a_short_run_is_not_rehearsed_beyond_its_end(updates: int) -> None:
    assert len(rates(state_of(named(name="OneCycleLR", max_lr=1.0), updates=updates), updates)) == updates
