"""Optimizers and schedules by name: the classes of torch.optim that can train one flat parameter from its gradient alone."""

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from byzshield.config import RunConfig
from byzshield.config.schema import OptimizerSection, ScheduleSection
from byzshield.config.values import expressible, hints_of
from byzshield.errors import ConfigError
from byzshield.runtime.components import MISFITS, construct, one_line
from byzshield.suggestion import suggestion

__all__ = ["build_optimizer", "build_scheduler", "optimizer_classes", "scheduler_classes"]

REHEARSED_STEPS = 3


def build_optimizer(config: RunConfig, parameter: torch.nn.Parameter) -> Optimizer:
    """The optimizer of a run, over one flat parameter [p] that gets dense gradients.

    Three steps on two numbers come first: some values that an optimizer takes at construction make its steps fail.

    Raises:
        ConfigError: the class cannot train such a parameter, or a keyword is wrong.
    """
    section, classes = config.optimizer, optimizer_classes()
    if section.name not in classes:
        fit = [name for name, entry in classes.items() if not _misfit_of_optimizer(entry)]
        raise ConfigError(f"optimizer.name: torch.optim has no {section.name!r}; {suggestion(section.name, fit)}")
    if reason := _misfit_of_optimizer(classes[section.name]):
        raise ConfigError(
            f"optimizer.name: {section.name} cannot train one flat parameter from its gradient alone ({reason}); use SGD or Adam"
        )
    rehearsal = _optimizer(section, _two_numbers(parameter.device))
    _rehearse("optimizer", section.name, rehearsal.step)
    return _optimizer(section, parameter)


def build_scheduler(config: RunConfig, optimizer: Optimizer) -> LRScheduler | None:
    """The schedule of a run's learning rate, which takes a step after each of the optimizer's; None where none is named.

    It is rehearsed as the optimizer is.

    Raises:
        ConfigError: the class asks for what a step does not have, a keyword is wrong, or the schedule ends before the run.
    """
    section, classes, steps = config.schedule, scheduler_classes(), config.run.steps
    if section.name is None:
        return None
    if section.name not in classes:
        fit = [name for name, entry in classes.items() if not _misfit_of_scheduler(entry)]
        raise ConfigError(f"schedule.name: torch.optim.lr_scheduler has no {section.name!r}; {suggestion(section.name, fit)}")
    if reason := _misfit_of_scheduler(classes[section.name]):
        raise ConfigError(f"schedule.name: {section.name} {reason}; use StepLR or CosineAnnealingLR")
    twin = _optimizer(config.optimizer, _two_numbers(optimizer.param_groups[0]["params"][0].device))
    rehearsal = _scheduler(section, twin)
    total = getattr(rehearsal, "total_steps", steps)  # OneCycleLR's step fails after them
    if total < steps:
        raise ConfigError(f"schedule: {section.name} ends after {total} steps, and run.steps is {steps}: give it as many")

    def step() -> None:
        twin.step()
        rehearsal.step()

    _rehearse("schedule", section.name, step)
    return _scheduler(section, optimizer)


def optimizer_classes() -> dict[str, type[Optimizer]]:
    """The optimizers of the installed torch, by name."""
    return _classes(torch.optim, Optimizer)


def scheduler_classes() -> dict[str, type[LRScheduler]]:
    """The schedules of the installed torch, by name."""
    return _classes(torch.optim.lr_scheduler, LRScheduler)


def _classes(module: Any, base: Any) -> dict[str, Any]:
    """The public classes of `module` that derive from `base`."""
    return {
        name: entry
        for name, entry in vars(module).items()
        if isinstance(entry, type) and issubclass(entry, base) and entry is not base and not name.startswith("_")
    }


def _misfit_of_optimizer(factory: Any) -> str:
    """Why no choice of keywords makes an optimizer train one flat parameter; empty if its defaults do."""
    if asked := _required(factory.step):
        return f"its step asks for a {asked[0]}"
    try:
        optimizer = factory([_two_numbers(torch.device("cpu"))], lr=0.01)
        optimizer.step()
    except MISFITS as error:
        return one_line(error)
    return ""


def _misfit_of_scheduler(factory: Any) -> str:
    """What a schedule asks for that a run file cannot express or a step does not have; empty if nothing."""
    if asked := _required(factory.step):
        return f"asks for {asked[0]} at every step, and there are none"
    hints = hints_of(factory)
    inexpressible = [
        name for name in _required(factory.__init__) if name != "optimizer" and not expressible(hints.get(name, Any))
    ]
    return f"needs {inexpressible[0]}, which a run file cannot express" if inexpressible else ""


def _required(method: Callable[..., Any]) -> list[str]:
    """The parameters of a method without a default, apart from self."""
    parameters = list(inspect.signature(method).parameters.values())[1:]
    return [parameter.name for parameter in parameters if parameter.default is parameter.empty]


def _two_numbers(device: torch.device) -> torch.nn.Parameter:
    parameter = torch.nn.Parameter(torch.tensor([1.0, -1.0], device=device))
    parameter.grad = torch.tensor([0.5, 0.25], device=device)
    return parameter


def _optimizer(section: OptimizerSection, parameter: torch.nn.Parameter) -> Optimizer:
    optimizer: Optimizer = construct(
        optimizer_classes()[section.name],
        "optimizer",
        {"lr": section.lr, **section.options},
        known=section.known_keys(),
        given={"params": [parameter]},
    )
    return optimizer


def _scheduler(section: ScheduleSection, optimizer: Optimizer) -> LRScheduler:
    assert section.name is not None
    scheduler: LRScheduler = construct(
        scheduler_classes()[section.name], "schedule", section.options, known=section.known_keys(), given={"optimizer": optimizer}
    )
    return scheduler


def _rehearse(section: str, name: str, step: Callable[[], Any]) -> None:
    try:
        for _ in range(REHEARSED_STEPS):
            step()
    except MISFITS as error:
        raise ConfigError(f"{section}: {name} fails with these values: {one_line(error)}") from error
