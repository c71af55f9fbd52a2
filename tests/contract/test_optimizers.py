"""Every optimizer and schedule of the installed torch either trains one flat parameter or is refused before training."""

from typing import Any

import numpy as np
import pytest
import torch

from byzshield.config import RunConfig, from_table
from byzshield.errors import ConfigError
from byzshield.models import FlatModel
from byzshield.runtime.optimizers import build_optimizer, optimizer_classes
from byzshield.runtime.schedules import build_scheduler, scheduler_classes

# What a schedule cannot be made without.
REQUIRED: dict[str, dict[str, Any]] = {
    "CosineAnnealingLR": {"T_max": 3},
    "CosineAnnealingWarmRestarts": {"T_0": 2},
    "CyclicLR": {"base_lr": 0.1, "max_lr": 0.2},
    "ExponentialLR": {"gamma": 0.5},
    "exponential_steps": {"gamma": 0.5, "step_size": 2},
    "MultiStepLR": {"milestones": [1, 2]},
    "OneCycleLR": {"max_lr": 0.1, "total_steps": 3},
    "StepLR": {"step_size": 2},
}
LAST = {"name": "ExponentialLR", "gamma": 0.5}
UNFIT_OPTIMIZERS = {"LBFGS": "its step asks for a closure", "SparseAdam": "dense gradients", "Muon": "2D parameters"}
UNFIT_SCHEDULES = {
    "ReduceLROnPlateau": "asks for metrics at every step",
    "LambdaLR": "needs lr_lambda, which a run file cannot express",
    "MultiplicativeLR": "needs lr_lambda, which a run file cannot express",
    "SequentialLR": "needs schedulers, which a run file cannot express",
    "ChainedScheduler": "needs schedulers, which a run file cannot express",
}


def train(config: RunConfig) -> tuple[torch.nn.Parameter, list[float]]:
    """Three steps as the server takes them; returns the parameter and the learning rate after each."""
    model = FlatModel(torch.nn.Linear(3, 4, bias=False))
    model.load_parameters(np.linspace(-1, 1, 12, dtype=np.float32))
    optimizer = build_optimizer(config, model)
    scheduler = build_scheduler(config, optimizer, updates=config.run.steps)
    (parameter,) = optimizer.param_groups[0]["params"]
    rates = []
    for step in range(3):
        parameter.grad = torch.full((12,), 0.5 + step)
        optimizer.step()
        if scheduler is not None:
            scheduler.step()
        rates.append(float(optimizer.param_groups[0]["lr"]))
    return parameter, rates


@pytest.mark.parametrize("name", sorted(optimizer_classes()))
def test_an_optimizer_trains_or_is_refused(name: str) -> None:
    config = from_table({"optimizer": {"name": name, "lr": 0.01}})
    if name in UNFIT_OPTIMIZERS:
        with pytest.raises(ConfigError, match=rf"^optimizer.name: {name} .*{UNFIT_OPTIMIZERS[name]}.*; use SGD or Adam$"):
            train(config)
        return
    parameter, _ = train(config)
    assert torch.isfinite(parameter).all()
    assert (parameter < torch.linspace(-1, 1, 12)).all()


@pytest.mark.parametrize("name", sorted(scheduler_classes()))
def test_a_schedule_moves_the_learning_rate_or_is_refused(name: str) -> None:
    config = from_table({"run": {"steps": 3}, "optimizer": {"lr": 0.3}, "schedule": {"name": name, **REQUIRED.get(name, {})}})
    if name in UNFIT_SCHEDULES:
        with pytest.raises(ConfigError, match=rf"^schedule.name: {name} {UNFIT_SCHEDULES[name]}.*; use StepLR"):
            train(config)
        return
    parameter, rates = train(config)
    assert torch.isfinite(parameter).all()
    assert rates != [0.3, 0.3, 0.3]


def test_what_is_built_has_taken_no_step() -> None:
    model = FlatModel(torch.nn.Linear(2, 2, bias=False))
    model.load_parameters(np.ones(4, dtype=np.float32))
    config = from_table({"optimizer": {"name": "Adam"}, "schedule": {"name": "ExponentialLR", "gamma": 0.5}})
    optimizer = build_optimizer(config, model)
    scheduler = build_scheduler(config, optimizer, updates=100)
    assert scheduler is not None
    assert torch.equal(model.parameters, torch.ones(4))
    assert optimizer.state_dict()["state"] == {}
    assert (optimizer.param_groups[0]["lr"], scheduler.last_epoch) == (0.05, 0)


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({"optimizer": {"name": "SDG"}}, "optimizer.name: torch.optim has no 'SDG'; did you mean 'SGD'?"),
        ({"optimizer": {"name": "LBGFS"}}, "optimizer.name: torch.optim has no 'LBGFS'; known: ASGD, "),
        ({"optimizer": {"name": "Optimizer"}}, "optimizer.name: torch.optim has no 'Optimizer'; known: "),
        ({"optimizer": {"momentun": 0.9}}, "optimizer.momentun: SGD has no such keyword; did you mean 'momentum'?"),
        ({"optimizer": {"params": 1}}, "optimizer.params: SGD has no such keyword; known: accumulate, "),
        ({"optimizer": {"momentum": "much"}}, "optimizer.momentum: must be a number; got 'much'"),
        ({"optimizer": {"momentum": -1}}, "optimizer: Invalid momentum value: -1"),
        ({"optimizer": {"nesterov": True}}, "optimizer: Nesterov momentum requires a momentum"),
        ({"optimizer": {"name": "Adam", "betas": [0.9]}}, "optimizer.betas: must be a list of 2: a number, a number; got [0.9]"),
        ({"optimizer": {"differentiable": True}}, "optimizer: SGD fails with these values: "),
        ({"optimizer": {"fused": True, "foreach": True}}, "optimizer: SGD cannot be made of these values: "),
        *(
            ({"schedule": {"name": "sequence", **keywords}}, message)
            for keywords, message in [
                ({}, "schedule.parts: is required by sequence"),
                ({"parts": 3}, "schedule.parts: must be a list, each entry a table"),
                ({"parts": []}, "schedule.parts: must have at least one part"),
                ({"part": []}, "schedule.part: sequence has no such keyword; did you mean 'parts'?"),
                ({"parts": [{"steps": 3}]}, "schedule.parts[0].name: is required in each part"),
                ({"parts": [{"name": 3}]}, "schedule.parts[0].name: must be text; got 3"),
                ({"parts": [LAST, LAST]}, "schedule.parts[0].steps: is required in each part but the last"),
                ({"parts": [{**LAST, "steps": 3}]}, "schedule.parts[0].steps: is required in each part but the last"),
                ({"parts": [{**LAST, "steps": 0}, LAST]}, "schedule.parts[0].steps: must be at least 1; got 0"),
                ({"parts": [{**LAST, "steps": 1.5}, LAST]}, "schedule.parts[0].steps: must be a whole number; got 1.5"),
                ({"parts": [{**LAST, "gama": 1}]}, "schedule.parts[0].gama: ExponentialLR has no such keyword; did you mean"),
                ({"parts": [{"name": "StepLR"}]}, "schedule.parts[0].step_size: is required by StepLR"),
                ({"parts": [{"name": "StepLR", "step_size": 0}]}, "schedule.parts[0]: StepLR fails with these values: "),
                ({"parts": [{"name": "StepRL"}]}, "schedule.parts[0].name: torch.optim.lr_scheduler has no 'StepRL'; did you"),
                ({"parts": [{"name": "sequence"}]}, "schedule.parts[0].name: sequence cannot be a part, since it is a sequence"),
                ({"parts": [{"name": "OneCycleLR"}]}, "schedule.parts[0].name: OneCycleLR cannot be a part, since it changes"),
                ({"parts": [{"name": "LambdaLR"}]}, "schedule.parts[0].name: LambdaLR needs lr_lambda, which a run file cannot"),
            ]
        ),
        *(
            ({"schedule": {"name": "exponential_steps", **keywords}}, message)
            for keywords, message in [
                ({"gamma": 0.5}, "schedule.step_size: is required by ExponentialSteps"),
                ({"gamma": 0.5, "step_size": 0}, "schedule: step_size must be at least 1; got 0"),
                ({"gamma": 0, "step_size": 1}, "schedule: gamma must be positive; got 0"),
                ({"gamma": 0.5, "step_size": 1.5}, "schedule.step_size: must be a whole number; got 1.5"),
            ]
        ),
        ({"schedule": {"name": "StepLR"}}, "schedule.step_size: is required by StepLR"),
        ({"schedule": {"name": "StepLR", "step_size": 0}}, "schedule: StepLR fails with these values: "),
        ({"schedule": {"name": "StepLR", "step_size": 2.5}}, "schedule.step_size: must be a whole number; got 2.5"),
        (
            {"schedule": {"name": "MultiStepLR", "milestones": "a"}},
            "schedule.milestones: must be a list, each entry a whole number",
        ),
        ({"schedule": {"name": "LRScheduler"}}, "schedule.name: torch.optim.lr_scheduler has no 'LRScheduler'; known: "),
        ({"schedule": {"name": "StepRL"}}, "schedule.name: torch.optim.lr_scheduler has no 'StepRL'; did you mean 'StepLR'?"),
        (
            {"run": {"steps": 8}, "schedule": {"name": "OneCycleLR", "max_lr": 0.1, "total_steps": 7}},
            "schedule: OneCycleLR ends after 7 steps, and the run has 8 updates",
        ),
    ],
)
def test_a_mistake_is_found_before_training(tables: dict[str, dict[str, Any]], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        train(from_table(tables))
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)
