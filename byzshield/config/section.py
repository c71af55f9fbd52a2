"""What every section of a run file is: a frozen dataclass whose fields say what they may hold."""

import re
from dataclasses import Field, dataclass, field, fields
from typing import Any, Final, TypeVar, cast, get_type_hints

from byzshield.config.values import check
from byzshield.errors import ConfigError

__all__ = ["CONSTRAINT", "Constraint", "Form", "Options", "Section", "constraint_of", "key"]

T = TypeVar("T")
CONSTRAINT: Final = "constraint"
"""Under which a field's metadata has its `Constraint`."""
Options = dict[str, Any]
"""A component's own keywords, which the section does not know itself."""


@dataclass(frozen=True, kw_only=True)
class Form:
    """What a text must look like.

    Args:
        pattern: a regular expression for the whole text.
        words: the same for people, as the end of "must be ...".
    """

    pattern: str
    words: str


@dataclass(frozen=True, kw_only=True)
class Constraint:
    """What a key may hold beyond its type, and whether it counts.

    Args:
        least: the smallest number; None for any.
        most: the largest number; None for any.
        form: what a text must look like; None for any.
        hashed: whether results depend on it, so that it counts for the configuration's hash.
        may_change: whether a run may go on with another value, though results depend on it.
        fixed: of a list of tables that may change, the keys that may not.
    """

    least: float | None = None
    most: float | None = None
    form: Form | None = None
    hashed: bool = True
    may_change: bool = False
    fixed: tuple[str, ...] = ()


def key(
    default: T,
    *,
    least: float | None = None,
    most: float | None = None,
    form: Form | None = None,
    hashed: bool = True,
    may_change: bool = False,
    fixed: tuple[str, ...] = (),
) -> T:
    """A field of a section with its default and its `Constraint`; a range has two ends."""
    assert (least is None) == (most is None)
    constraint = Constraint(least=least, most=most, form=form, hashed=hashed, may_change=may_change, fixed=fixed)
    return field(default=default, metadata={CONSTRAINT: constraint})


def constraint_of(entry: "Field[Any]") -> Constraint:
    """The constraint that `key` gave to a field."""
    return cast(Constraint, entry.metadata.get(CONSTRAINT, Constraint()))


@dataclass(frozen=True)
class Section:
    """A table of the run file; it checks itself, wherever it is made.

    Raises:
        ConfigError: a value has the wrong type, is out of range, or stands in `options` under the name of a key.
    """

    def __post_init__(self) -> None:
        hints = get_type_hints(type(self))
        for entry in fields(self):
            value = getattr(self, entry.name)
            if entry.name == "options":
                self._check_options(value)
                continue
            constraint, dotted = constraint_of(entry), f"{self.title()}.{entry.name}"
            value = check(dotted, value, hints[entry.name], least=constraint.least, most=constraint.most)
            if constraint.form and isinstance(value, str) and not re.fullmatch(constraint.form.pattern, value):
                raise ConfigError(f"{dotted}: must be {constraint.form.words}; got {value!r}")
            object.__setattr__(self, entry.name, value)

    @classmethod
    def title(cls) -> str:
        """Its name in the run file: `RunSection` is [run]."""
        return cls.__name__.removesuffix("Section").lower()

    @classmethod
    def known_keys(cls) -> frozenset[str]:
        """The keys that it knows itself."""
        return frozenset(entry.name for entry in fields(cls)) - {"options"}

    @classmethod
    def takes_options(cls) -> bool:
        """Whether it has a component's own keywords besides its keys."""
        return any(entry.name == "options" for entry in fields(cls))

    def _check_options(self, options: Any) -> None:
        check(self.title(), options, Options)
        for name in options:
            if not isinstance(name, str) or name == "options" or name in self.known_keys():
                raise ConfigError(f"{self.title()}.{name}: cannot be a component's own keyword")
