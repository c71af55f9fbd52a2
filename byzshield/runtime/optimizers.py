"""Optimizers by name: the classes of torch.optim that can train flat parameters from their gradient alone."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import torch
from torch.optim import Optimizer

from byzshield.config import RunConfig
from byzshield.config.schema import OptimizerSection
from byzshield.errors import ConfigError
from byzshield.models import FlatModel
from byzshield.runtime.components import MISFITS, construct, one_line
from byzshield.runtime.parameter_groups import SELECTORS, own_keywords, parameter_groups
from byzshield.suggestion import suggestion

__all__ = [
    "REHEARSED_STEPS",
    "build_optimizer",
    "optimizer_classes",
    "public_classes",
    "rehearse",
    "rehearse_optimizer",
    "required",
    "state_vectors",
    "twin_of",
]

REHEARSED_STEPS: Final = 3
WRAPPED = ("add_param_group", "load_state_dict", "state_dict", "zero_grad")  # and step, all of torch.optim.Optimizer


def build_optimizer(config: RunConfig, model: FlatModel) -> Optimizer:
    """The optimizer of a run, over parts of the model's flat vector that get dense gradients; without groups it is one part.

    Raises:
        ConfigError: as `rehearse_optimizer`, or a pattern is wrong.
    """
    rehearse_optimizer(config.optimizer, model.parameters.device)
    return _optimizer(config.optimizer, parameter_groups(config.optimizer.groups, model))


def rehearse_optimizer(section: OptimizerSection, device: torch.device) -> None:
    """Has the optimizer of a section take a few steps on two numbers, and those that have the keywords of a group.

    Raises:
        ConfigError: the class cannot train such parameters, or a keyword is wrong.
    """
    classes = optimizer_classes()
    if section.name not in classes:
        fit = [name for name, entry in classes.items() if not _misfit_of_optimizer(entry)]
        raise ConfigError(f"optimizer.name: torch.optim has no {section.name!r}; {suggestion(section.name, fit)}")
    if reason := _misfit_of_optimizer(classes[section.name]):
        raise ConfigError(
            f"optimizer.name: {section.name} cannot train one flat parameter from its gradient alone ({reason}); use SGD or Adam"
        )
    rehearse("optimizer", section.name, _made(section, "optimizer", {}, [_two_numbers(device)]).step)
    for index, group in enumerate(section.groups):
        dotted = f"optimizer.groups[{index}]"
        rehearse(dotted, section.name, _made(section, dotted, own_keywords(group), [_two_numbers(device)]).step)


def optimizer_classes() -> dict[str, type[Optimizer]]:
    """The optimizers of the installed torch, by name."""
    return public_classes(torch.optim, Optimizer)


def public_classes(module: Any, base: Any) -> dict[str, Any]:
    """The public classes of `module` that derive from `base`."""
    return {
        name: entry
        for name, entry in vars(module).items()
        if isinstance(entry, type) and issubclass(entry, base) and entry is not base and not name.startswith("_")
    }


def twin_of(section: OptimizerSection, device: torch.device) -> Optimizer:
    """The optimizer of a section over two numbers in each group, to rehearse with."""
    return _optimizer(section, [[_two_numbers(device)] for _ in range(1 + len(section.groups))])


def state_vectors(section: OptimizerSection) -> int:
    """How many vectors as long as the parameters the optimizer of a section holds between two steps, at most."""
    optimizer = twin_of(section, torch.device("cpu"))
    optimizer.step()
    held = [
        [value for value in state.values() if isinstance(value, torch.Tensor) and value.ndim]
        for state in optimizer.state.values()
    ]
    return max(map(len, held), default=0)


def required(method: Callable[..., Any]) -> list[str]:
    """The parameters of a method without a default, apart from self."""
    parameters = list(inspect.signature(method).parameters.values())[1:]
    return [parameter.name for parameter in parameters if parameter.default is parameter.empty]


def rehearse(section: str, name: str, step: Callable[[], Any], *, most: int = REHEARSED_STEPS) -> None:
    """Takes a few steps: some values that an optimizer or a schedule takes at construction make its steps fail.

    Args:
        section: the section of the run file, for the message.
        name: what takes the steps.
        step: one of them.
        most: the steps of the run, if those are fewer.

    Raises:
        ConfigError: a step fails.
    """
    try:
        for _ in range(min(most, REHEARSED_STEPS)):
            step()
    except MISFITS as error:
        raise ConfigError(f"{section}: {name} fails with these values: {one_line(error)}") from error


def _misfit_of_optimizer(factory: Any) -> str:
    """Why no choice of keywords makes an optimizer train one flat parameter; empty if its defaults do."""
    if asked := required(factory.step):
        return f"its step asks for a {asked[0]}"
    try:
        optimizer = _uncompiled(factory)([_two_numbers(torch.device("cpu"))], lr=0.01)
        optimizer.step()
    except MISFITS as error:
        return one_line(error)
    return ""


def _uncompiled(factory: Any) -> Any:
    """A subclass that takes the same steps, without what prepares them for torch.compile, which nothing here uses.

    Each wrapper of torch's own methods imports the compiler, 150 MB and more than a second of it, only to keep it out.
    A torch that wraps no method, or other ones, loses nothing by this but that memory.
    """
    methods = {name: inspect.unwrap(getattr(factory, name)) for name in WRAPPED}
    return type(factory.__name__, (factory,), {**methods, "step": torch.no_grad()(inspect.unwrap(factory.step))})


def _two_numbers(device: torch.device) -> torch.nn.Parameter:
    parameter = torch.nn.Parameter(torch.tensor([1.0, -1.0], device=device))
    parameter.grad = torch.tensor([0.5, 0.25], device=device)
    return parameter


def _optimizer(section: OptimizerSection, groups: Sequence[Sequence[torch.nn.Parameter]]) -> Optimizer:
    """The optimizer over the parameters of no group, and of each group."""
    rest, *others = groups
    own = [{"params": others[index], **own_keywords(group)} for index, group in enumerate(section.groups)]
    return _made(section, "optimizer", {}, [{"params": rest}, *own])


def _made(section: OptimizerSection, dotted: str, own: Mapping[str, Any], parameters: Sequence[Any]) -> Optimizer:
    """The optimizer with the keywords of the section and `own`, those of the table of the run file called `dotted`."""
    factory, keywords = optimizer_classes()[section.name], {"lr": section.lr, **section.options, **own}
    optimizer: Optimizer = construct(
        factory if keywords.get("differentiable") else _uncompiled(factory),
        dotted,
        keywords,
        known=section.known_keys() if dotted == "optimizer" else SELECTORS,
        given={"params": parameters},
    )
    return optimizer
