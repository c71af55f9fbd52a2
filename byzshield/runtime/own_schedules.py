"""Schedules of users: functions of the number of updates, classes, and what makes one, by "module:name" or as objects."""

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

from torch.optim import Optimizer

from byzshield.config.values import hints_of
from byzshield.errors import ByzShieldError, ConfigError, explain
from byzshield.registry import Registry
from byzshield.training.schedules import Factors

__all__ = ["Own", "explained", "is_own", "look_at", "own_factory"]

Own = Mapping[str, Callable[..., Any]]
"""What a Python program gives, by the name that stands for each in the run file."""
NAMED: Final[Registry[Callable[..., Any]]] = Registry("schedule", "byzshield.runtime")  # for "module:name" alone
MOST_FACTORS: Final = 100_000  # of a function that are looked at before a run
MOST_AGAIN: Final = 100


def is_own(name: str, own: Own) -> bool:
    """Whether a name of a run file stands for a schedule of a user."""
    return name in own or ":" in name or name.startswith("<")


def own_factory(key: str, name: str, own: Own) -> Callable[..., Any]:
    """What makes a user's schedule of `optimizer`, of `updates` if it asks for those, and of its own keywords.

    Args:
        key: of the run file, for the message.
        name: what it says.
        own: what a Python program has given.

    Raises:
        ConfigError: there is none, or it takes neither the optimizer nor a number of updates.
    """
    try:
        entry = own[name] if name in own else NAMED.get(name)
        parameters = inspect.signature(entry).parameters
    except (ConfigError, TypeError, ValueError) as error:
        raise ConfigError(f"{key}: {error}") from error
    return entry if "optimizer" in parameters else _factors_of(key, name, entry, list(parameters.values()))


def look_at(schedule: Factors, updates: int) -> None:
    """Looks at the factors of a whole run, or of its beginning and its end, and whether they are the same again.

    Raises:
        ConfigError: one is another number when it is asked for again.
        ParameterError: one is no factor.
    """
    numbers = [*range(min(updates, MOST_FACTORS)), updates]
    first, again = ([schedule.factor_after(number) for number in some] for some in (numbers, numbers[:MOST_AGAIN]))
    changed = next((number for number, one, other in zip(numbers, first, again, strict=False) if one != other), None)
    if changed is not None:
        raise ConfigError(
            f"its factor after {changed} updates is {first[changed]} and then {again[changed]}; let it depend on that number "
            "alone, or a run that goes on would have other rates"
        )


@contextmanager
def explained(dotted: str, name: str, own: Own) -> Iterator[None]:
    """What a user's own code raises is that user's mistake, and is told in one line."""
    try:
        yield
    except ConfigError as error:
        raise error if str(error).startswith(dotted) else ConfigError(f"{dotted}: {name}: {error}") from error
    except Exception as error:
        if not is_own(name, own):
            raise
        told = explain(error)
        raise ConfigError(
            f"{dotted}: {name}: {told}" if isinstance(error, ByzShieldError) else f"{dotted}: {name} fails: {told}"
        ) from error


def _factors_of(key: str, name: str, function: Callable[..., Any], parameters: list[inspect.Parameter]) -> Callable[..., Any]:
    """What makes a schedule of a function of the number of updates, whose own keywords are checked as a constructor's are."""
    if not parameters or parameters[0].kind in (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_KEYWORD):
        raise ConfigError(
            f"{key}: {name} must be a class of schedules, take `optimizer` and make one, or take the number of updates first and "
            "give the factor of the rate"
        )
    optimizer = inspect.Parameter("optimizer", inspect.Parameter.KEYWORD_ONLY)
    keywords = [parameter for parameter in parameters[1:] if parameter.kind is not inspect.Parameter.VAR_POSITIONAL]

    def bind(optimizer: Optimizer, **options: Any) -> Factors:
        return Factors(optimizer, partial(function, **options))

    hints = hints_of(function)
    bind.__name__ = getattr(function, "__name__", name)
    bind.__annotations__ = {parameter.name: hints.get(parameter.name, Any) for parameter in keywords}
    bind.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [optimizer, *(each if each.kind is each.VAR_KEYWORD else each.replace(kind=each.KEYWORD_ONLY) for each in keywords)]
    )
    return bind
