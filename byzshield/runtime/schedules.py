"""Schedules by name: those of torch that need the optimizer alone, one of ours, those of users, and sequences of them."""

import inspect
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

import torch
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from byzshield.config import RunConfig
from byzshield.config.values import check, expressible, hints_of
from byzshield.errors import ConfigError
from byzshield.runtime.components import construct
from byzshield.runtime.optimizers import public_classes, rehearse, required, twin_of
from byzshield.runtime.own_schedules import Own, explained, is_own, look_at, own_factory
from byzshield.suggestion import suggestion
from byzshield.training.schedules import ExponentialSteps, Factors, ScheduleSequence

__all__ = ["build_scheduler", "scheduler_classes"]

SEQUENCE: Final = "sequence"
LENGTHS: Final = ("T_max", "total_steps")  # keywords of a schedule's whole length
NO_LENGTH: Final = (inspect.Parameter.empty, None)  # the defaults of such a keyword
CHANGE_THE_OPTIMIZER: Final = ("CyclicLR", "OneCycleLR")  # its initial rate and its momentum, when they are made


def build_scheduler(config: RunConfig, optimizer: Optimizer, *, updates: int, own: Own | None = None) -> LRScheduler | None:
    """The schedule of a run's learning rate, which takes a step after each of the optimizer's; None where none is named.

    It is rehearsed as the optimizer is; of a sequence, each part is.

    Args:
        config: the run file.
        optimizer: whose rates it sets, those of all its groups.
        updates: steps of the optimizer in the whole run.
        own: functions and classes that a Python program gives, by the name that stands for each in the run file.

    Raises:
        ConfigError: the class asks for what a step does not have, a keyword is wrong, the schedule ends before the run, or the
            user's own fails or makes what is no schedule.
    """
    section, own = config.schedule, own or {}
    if section.name is None:
        return None
    if section.name == SEQUENCE:
        return _sequence(config, optimizer, updates, own)
    return _schedule("schedule", section.name, section.options, section.known_keys(), config, optimizer, updates, own)


def scheduler_classes() -> dict[str, type[LRScheduler]]:
    """The schedules of the installed torch and ours, by name."""
    return {**public_classes(torch.optim.lr_scheduler, LRScheduler), "exponential_steps": ExponentialSteps}


def _schedule(
    dotted: str,
    name: str,
    options: Mapping[str, Any],
    known: Collection[str],
    config: RunConfig,
    optimizer: Optimizer,
    updates: int,
    own: Own,
) -> LRScheduler:
    """A schedule that is no sequence, from the table of the run file called `dotted`, whose own keys are `known`.

    What ends with the schedule (T_max, total_steps) ends after so many updates if the run file does not say when.
    """
    factory = _factory_of(f"{dotted}.name", name, own)
    parameters = inspect.signature(factory).parameters
    open_ended = [keyword for keyword in LENGTHS if keyword in parameters and parameters[keyword].default in NO_LENGTH]
    ends = open_ended if "epochs" not in options else []
    options = {**dict.fromkeys(ends, max(1, updates)), **options}

    def over(optimizer: Optimizer) -> LRScheduler:
        given = {"optimizer": optimizer, "updates": updates}
        with explained(dotted, name, own):
            scheduler: LRScheduler = construct(factory, dotted, options, known=known, given=given)
        if not isinstance(scheduler, LRScheduler):
            raise ConfigError(f"{dotted}.name: {name} makes no LRScheduler of the optimizer; got {type(scheduler).__name__}")
        if scheduler.optimizer is not optimizer:
            raise ConfigError(f"{dotted}.name: {name} makes a schedule of another optimizer than the one that it is given")
        return scheduler

    twin = twin_of(config.optimizer, next(part.device for group in optimizer.param_groups for part in group["params"]))
    rehearsal = over(twin)
    total = getattr(rehearsal, "total_steps", updates)  # OneCycleLR's step fails after them
    if total < updates:
        raise ConfigError(f"{dotted}: {name} ends after {total} steps, and the run has {updates} updates: give it as many")

    def step() -> None:
        twin.step()
        rehearsal.step()

    with explained(dotted, name, own):
        rehearse(dotted, name, step, most=updates)
        if isinstance(rehearsal, Factors):
            look_at(rehearsal, updates)
    return over(optimizer)


def _sequence(config: RunConfig, optimizer: Optimizer, updates: int, own: Own) -> LRScheduler:
    section = config.schedule
    parts = construct(sequence, "schedule", section.options, known=section.known_keys(), given={})
    if not parts:
        raise ConfigError("schedule.parts: must have at least one part")
    schedules: list[LRScheduler] = []
    lengths: list[int] = []
    for index, part in enumerate(parts):
        dotted, options = f"schedule.parts[{index}]", dict(part)
        if "name" not in options:
            raise ConfigError(f"{dotted}.name: is required in each part")
        name = check(f"{dotted}.name", options.pop("name"), str)
        if name == SEQUENCE or name in CHANGE_THE_OPTIMIZER:
            reason = "is a sequence itself" if name == SEQUENCE else "changes what the other parts start from"
            raise ConfigError(f"{dotted}.name: {name} cannot be a part, since it {reason}")
        if (index == len(parts) - 1) is ("steps" in options):
            raise ConfigError(f"{dotted}.steps: is required in each part but the last, which goes on to the end of the run")
        length = max(1, updates - sum(lengths))
        if "steps" in options:
            length = check(f"{dotted}.steps", options.pop("steps"), int, least=1)
            lengths.append(length)
            if "total_iters" in inspect.signature(_factory_of(f"{dotted}.name", name, own)).parameters:
                options.setdefault("total_iters", length)
        schedules.append(_schedule(dotted, name, options, {"name", "steps"}, config, optimizer, length, own))
    return ScheduleSequence(optimizer, schedules, lengths)


def sequence(parts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What a sequence takes from the run file, as a signature that messages name."""
    return parts


def _factory_of(key: str, name: str, own: Own) -> Callable[..., Any]:
    """What the key of the run file names: a class, or what makes a schedule of the optimizer and of other keywords.

    Raises:
        ConfigError: there is none, or it asks for what a step does not have.
    """
    if not is_own(name, own):
        return _class_of(key, name)
    factory = own_factory(key, name, own)
    if isinstance(factory, type) and issubclass(factory, LRScheduler) and (reason := _misfit(factory)):
        raise ConfigError(f"{key}: {name} {reason}")
    return factory


def _class_of(key: str, name: str) -> type[LRScheduler]:
    """The class that the key of the run file names.

    Raises:
        ConfigError: there is none, or it asks for what a step does not have.
    """
    classes = scheduler_classes()
    if name not in classes:
        fit = [SEQUENCE, *(name for name, entry in classes.items() if not _misfit(entry))]
        raise ConfigError(f"{key}: torch.optim.lr_scheduler has no {name!r}; {suggestion(name, fit)}")
    if reason := _misfit(classes[name]):
        raise ConfigError(f"{key}: {name} {reason}; use StepLR, CosineAnnealingLR, a {SEQUENCE} or your own function")
    return classes[name]


def _misfit(factory: Any) -> str:
    """What a schedule asks for that a run file cannot express or a step does not have; empty if nothing."""
    if asked := required(factory.step):
        return f"asks for {asked[0]} at every step, and there are none"
    hints = hints_of(factory)
    inexpressible = [name for name in required(factory.__init__) if name != "optimizer" and not expressible(hints.get(name, Any))]
    return f"needs {inexpressible[0]}, which a run file cannot express" if inexpressible else ""
