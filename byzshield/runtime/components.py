"""Components from their sections of the run file: what a user may set, and what the program sets."""

import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final, TypeVar

from byzshield.config.values import check, expressible, hints_of
from byzshield.errors import ConfigError, explain
from byzshield.registry import Registry
from byzshield.suggestion import suggestion

__all__ = ["MISFITS", "construct", "make", "one_line", "prepare"]

T = TypeVar("T")

MISFITS: Final = (
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    RuntimeError,
    AssertionError,
    MemoryError,
    OSError,
)
"""What constructors raise when values do not fit, ours and torch's alike; other exceptions are mistakes in the code."""


def make(registry: Registry[T], name: str, key: str, options: Mapping[str, Any], **others: Any) -> Any:
    """Makes a component that the run file names; takes what `prepare` takes.

    Raises:
        ConfigError: there is no such component, or an option is unknown, missing, of the wrong type or out of range.
    """
    return prepare(registry, name, key, options, **others)()


def prepare(
    registry: Registry[T],
    name: str,
    key: str,
    options: Mapping[str, Any],
    *,
    known: Collection[str] = (),
    defaults: Mapping[str, Any] | None = None,
    **given: Any,
) -> Callable[[], Any]:
    """What makes a component that the run file names, all of which is checked that can be without making it.

    Args:
        registry: the components of its kind.
        name: as the run file has it.
        key: where the run file has it, "attack.name"; the own keywords stand beside it.
        options: the component's own keywords.
        known: the keys of its section, to suggest when one is misspelled.
        defaults: values for those of the component's own keywords that the run file leaves out.
        given: a value for each of `registry.given`, None if it has none; those that the component does not take are left out, and
            those of `registry.only_named` where a function does not name them.

    Raises:
        ConfigError: there is no such component, or an option is unknown, missing or of the wrong type.
    """
    assert given.keys() == registry.given, f"the program sets {sorted(registry.given)} of each {registry.kind}"
    try:
        factory, keywords = registry.get(name), registry.keywords(name)
    except ConfigError as error:
        raise ConfigError(f"{key}: {error}") from error
    options = {**{keyword: value for keyword, value in (defaults or {}).items() if keyword in keywords}, **options}
    named = registry.signature(name)
    given = {keyword: value for keyword, value in given.items() if value is not None}
    if not isinstance(factory, type):
        given = {keyword: value for keyword, value in given.items() if keyword in named or keyword not in registry.only_named}
    with registry.calling(name):
        told = explain if ":" in name else one_line
        call = _bound(factory, key.rpartition(".")[0], options, known=known, given=given, owners=registry.owners, told=told)

    def made() -> Any:
        with registry.calling(name):
            return call()

    return made


def construct(
    factory: Any,
    section: str,
    options: Mapping[str, Any],
    *,
    given: Mapping[str, Any],
    known: Collection[str] = (),
) -> Any:
    """Calls `factory` with what the program gives and what the run file says, whose types are checked against its annotations.

    Args:
        factory: a class or function that takes keywords.
        section: the section of the run file, for messages.
        options: the section's own keywords.
        given: arguments that are not the user's to set; those that `factory` does not take are left out.
        known: keys that the section itself has, to suggest when one is misspelled.

    Raises:
        ConfigError: an option is unknown, missing, of the wrong type or out of range.
    """
    return _bound(factory, section, options, given=given, known=known)()


def _bound(
    factory: Any,
    section: str,
    options: Mapping[str, Any],
    *,
    given: Mapping[str, Any],
    known: Collection[str],
    owners: Callable[[str], Sequence[str]] = lambda _: (),
    told: Callable[[BaseException], str] | None = None,
) -> Callable[[], Any]:
    """The call of `construct`, of which all but the call itself is checked.

    `owners` gives the names of the components that do have a keyword, and `told` says in one line what `factory` has raised;
    by default what the exception says.
    """
    called, parameters = getattr(factory, "__name__", repr(factory)), inspect.signature(factory).parameters
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    hints = hints_of(factory)
    for key, value in options.items():
        if key in given or (key not in parameters and not takes_any):
            raise ConfigError(f"{section}.{key}: {called} has no such keyword{_advice(key, parameters, known, given, owners)}")
        if expressible(hints.get(key, object)):
            check(f"{section}.{key}", value, hints[key])
    for key, parameter in parameters.items():
        named = parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
        if named and parameter.default is parameter.empty and key not in given and key not in options:
            raise ConfigError(f"{section}.{key}: is required by {called}")

    def call() -> Any:
        try:
            return factory(**{key: value for key, value in given.items() if key in parameters or takes_any}, **options)
        except (ValueError, OSError) as error:  # ours, and what torch says of a value out of range
            raise ConfigError(f"{section}: {(told or one_line)(error)}") from error
        except MISFITS as error:
            raise ConfigError(f"{section}: {called} cannot be made of these values: {(told or one_line)(error)}") from error

    return call


def one_line(error: BaseException) -> str:
    """What an exception says, without the line breaks that some of torch's have; its type if it says nothing."""
    return " ".join(str(error).split()) or type(error).__name__


def _advice(
    key: str,
    parameters: Collection[str],
    known: Collection[str],
    given: Collection[str],
    owners: Callable[[str], Sequence[str]],
) -> str:
    """Which key was meant, of those that a run file may set, or who has this one."""
    others = () if key in given else owners(key)
    if others:
        return f", but {' and '.join(others)} {'has' if len(others) == 1 else 'have'}"
    return f"; {suggestion(key, (set(parameters) - set(given)) | set(known))}"
