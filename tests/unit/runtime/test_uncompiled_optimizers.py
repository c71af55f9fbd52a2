"""Optimizers are torch's own, bit for bit, without its compiler in memory."""

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.optim import Optimizer
from torch.optim.lr_scheduler import StepLR

from byzshield.config import RunConfig
from byzshield.models import FlatModel
from byzshield.runtime.optimizers import _misfit_of_optimizer, build_optimizer, optimizer_classes

OPTIONS: dict[str, dict[str, Any]] = {"SGD": {"momentum": 0.9, "nesterov": True, "weight_decay": 1e-3}, "Adam": {"amsgrad": True}}
FIT = sorted(name for name, factory in optimizer_classes().items() if not _misfit_of_optimizer(factory))


def flat(start: torch.Tensor) -> FlatModel:
    """A model whose parameters are these."""
    model = FlatModel(torch.nn.Linear(len(start), 1, bias=False))
    model.load_parameters(start.numpy())
    return model


def taken_steps(optimizer: Optimizer) -> dict[str, Any]:
    """The optimizer's state and its parameter after three steps under a schedule."""
    (parameter,) = optimizer.param_groups[0]["params"]
    schedule = StepLR(optimizer, step_size=1, gamma=0.5)
    for step in range(3):
        parameter.grad = torch.linspace(-1, 1 + step, len(parameter))
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
    return {"parameter": parameter.detach(), **optimizer.state_dict()["state"][0]}


@pytest.mark.parametrize("name", FIT)
def test_steps_and_state_are_those_of_torch_bit_for_bit(tiny_run: Callable[..., RunConfig], name: str) -> None:
    options = OPTIONS.get(name, {})
    config = tiny_run(optimizer={"name": name, "lr": 0.01, **options})
    start = torch.linspace(0.5, 1.5, 7)
    ours = build_optimizer(config, flat(start))
    torchs = getattr(torch.optim, name)([torch.nn.Parameter(start.clone())], lr=0.01, **options)
    found, expected = taken_steps(ours), taken_steps(torchs)
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        assert torch.equal(torch.as_tensor(found[key]), torch.as_tensor(value)), key
    again = build_optimizer(config, flat(start))
    again.load_state_dict(torchs.state_dict())
    assert again.state_dict()["param_groups"] == ours.state_dict()["param_groups"]
    assert (type(ours).__name__, isinstance(ours, getattr(torch.optim, name))) == (name, True)


def test_torchs_compiler_is_not_loaded() -> None:
    script = """
import sys, torch
from byzshield.config.schema import OptimizerSection
from byzshield.runtime import optimizers
section = OptimizerSection(name="SGD", lr=0.1)
optimizer = optimizers.twin_of(section, torch.device("cpu"))
scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1)
optimizer.step(); scheduler.step()
optimizer.load_state_dict(optimizer.state_dict())
assert optimizers._misfit_of_optimizer(torch.optim.Adam) == ""
print("torch._dynamo" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert (done.stdout, done.returncode) == ("False\n", 0), done.stderr
