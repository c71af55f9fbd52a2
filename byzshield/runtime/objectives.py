"""Loss and metrics from their sections of the run file."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from byzshield.config import RunConfig
from byzshield.config.values import hints_of
from byzshield.errors import ConfigError
from byzshield.objectives import LOSSES, METRICS, Objective
from byzshield.registry import Registry
from byzshield.runtime.components import construct

__all__ = ["build_objective"]

OF_CLASSES: Final = ("accuracy", "top5_accuracy")
CROSS_ENTROPIES: Final = ("cross_entropy", "CrossEntropyLoss")  # ours, and torch's under its own names


def build_objective(
    config: RunConfig,
    *,
    loss: Callable[..., Any] | None = None,
    metrics: Sequence[str | Callable[..., Any]] | None = None,
) -> Objective:
    """The loss and the metrics that a run file names, or that a Python program gives in their place.

    Args:
        config: the run file.
        loss: in place of that of the run file, which only describes it then.
        metrics: in place of those of the run file; names or functions.

    Raises:
        ConfigError: there is no such loss or metric, a keyword is unknown or of the wrong type, or two metrics have one name.
    """
    takes_model = config.loss.takes == "model"
    if loss is None:
        if takes_model and ":" not in config.loss.name:
            raise ConfigError(
                f'loss.takes: "model" is for your own function, "module:function"; {config.loss.name} takes the output'
            )
        loss = _named(LOSSES, config.loss.name, "loss.name", config.loss.options)
    if metrics is None:
        metrics = _default_metrics(config) if config.evaluation.metrics == "auto" else config.evaluation.metrics
    found: dict[str, Callable[..., Any]] = {}
    for position, metric in enumerate(metrics):
        key = f"evaluation.metrics[{position}].name"
        short = metric.rpartition(":")[2] if isinstance(metric, str) else getattr(metric, "__name__", type(metric).__name__)
        if short in {"loss", *found}:
            raise ConfigError(f"{key}: there is already a test_{short}; give it another name")
        found[short] = _named(METRICS, metric, key, {}) if isinstance(metric, str) else metric
    return Objective(loss=loss, metrics=found, takes_model=takes_model)


def _default_metrics(config: RunConfig) -> tuple[str, ...]:
    return OF_CLASSES if config.loss.name.rpartition(":")[2] in CROSS_ENTROPIES else ()


def _named(registry: Registry[Callable[..., Any]], name: str, key: str, options: Mapping[str, Any]) -> Callable[..., Any]:
    """A function with its own keywords set, or an object of a class made with them."""
    try:
        entry, parameters = registry.get(name), list(registry.signature(name).values())
    except ConfigError as error:
        raise ConfigError(f"{key}: {error}") from error
    if not isinstance(entry, type) and sum(parameter.kind is not parameter.KEYWORD_ONLY for parameter in parameters[:2]) < 2:
        raise ConfigError(f"{key}: {name} must take two arguments, (output, target) or (model, batch)")
    with registry.calling(name):
        made: Callable[..., Any] = construct(
            entry if isinstance(entry, type) else _keywords_of(entry, parameters[2:]), key.rpartition(".")[0], options, given={}
        )
    return made


def _keywords_of(function: Callable[..., Any], own: Sequence[inspect.Parameter]) -> Callable[..., Callable[..., Any]]:
    """What takes a function's own keywords, which are checked as a constructor's are, and returns the function with them."""

    def bind(**options: Any) -> Callable[..., Any]:
        return partial(function, **options)

    hints = hints_of(function)
    bind.__name__ = getattr(function, "__name__", repr(function))
    bind.__annotations__ = {parameter.name: hints.get(parameter.name, Any) for parameter in own}
    bind.__signature__ = inspect.Signature(own)  # type: ignore[attr-defined]
    return bind
