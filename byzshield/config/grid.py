"""The axes of a sweep: what varies, value by value."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Any, Final

from byzshield.config.load import Change
from byzshield.errors import ConfigError

__all__ = ["SEED", "Axis", "changes_of", "combinations", "dotted"]

SEED: Final = "run.seed"
MOST_CELLS: Final = 10_000
OWN: Final = {("run", "name"), ("run", "output_dir")}  # the sweep names the folders of its cells itself


@dataclass(frozen=True, kw_only=True)
class Axis:
    """One thing that varies.

    Args:
        name: the dotted key whose values it lists; or a word without a dot, whose entries each set several keys.
        labels: what to call each entry; the value itself where the axis is a key.
        changes: what each entry sets.
    """

    name: str
    labels: tuple[Any, ...]
    changes: tuple[tuple[Change, ...], ...]

    @classmethod
    def of(cls, name: str, entries: Any) -> "Axis":
        """Reads an axis.

        Raises:
            ConfigError: it is no list, is empty, or an entry is repeated or of another form.
        """
        if not isinstance(entries, list) or not entries:
            raise ConfigError(f"grid.{name}: must be a list with at least one entry; got {entries!r}")
        if "." in name:
            read = [(entry, changes_of(f"grid.{name}", {name: entry})) for entry in entries]
        else:
            read = [_case(f"grid.{name}[{index}]", entry) for index, entry in enumerate(entries)]
        axis = cls(name=name, labels=tuple(label for label, _ in read), changes=tuple(changes for _, changes in read))
        written = [json.dumps(label, sort_keys=True, default=str) for label in axis.labels]
        for label in written:
            if written.count(label) > 1:
                raise ConfigError(f"grid.{name}: each entry may stand there once; {label} is repeated")
        for section, key in sorted(axis.keys() & OWN):
            raise ConfigError(f"grid.{name}: {section}.{key} cannot vary, since a sweep names the folders of its cells itself")
        return axis

    def keys(self) -> set[tuple[str, str]]:
        """All (section, key) that some entry sets."""
        return {(section, key) for changes in self.changes for section, key, _ in changes}


def dotted(where: str, table: Any) -> dict[str, Any]:
    """Flattens sections: {"run": {"seed": 1}} and {"run.seed": 1} are the same; a word whose value is no table stays.

    Raises:
        ConfigError: `table` is no table, or says one key twice.
    """
    if not isinstance(table, Mapping):
        raise ConfigError(f"{where}: must be a table; got {table!r}")
    flat: dict[str, Any] = {}
    for name, value in table.items():
        nested = "." not in name and isinstance(value, Mapping)
        for key, entry in value.items() if nested else [("", value)]:
            full = f"{name}.{key}" if nested else name
            if full in flat:
                raise ConfigError(f"{where}.{full}: is there twice")
            flat[full] = entry
    return flat


def changes_of(where: str, values: Mapping[str, Any]) -> tuple[Change, ...]:
    """Changes from values by dotted key.

    Raises:
        ConfigError: a key has no section.
    """
    changes = []
    for name, value in values.items():
        section, dot, key = name.partition(".")
        if not (section and dot and key):
            raise ConfigError(f"{where}: keys are written section.key; got {name!r}")
        changes.append((section, key, value))
    return tuple(changes)


def combinations(axes: list[Axis]) -> Iterator[tuple[dict[str, Any], tuple[Change, ...]]]:
    """Every combination of the axes' entries, the last axis fastest: (axis -> label, changes).

    Raises:
        ConfigError: two axes set one key, or there are too many combinations.
    """
    for index, axis in enumerate(axes):
        for other in axes[:index]:
            for section, key in sorted(axis.keys() & other.keys()):
                raise ConfigError(f"grid.{axis.name}: {section}.{key} is also set by grid.{other.name}")
    count = prod(len(axis.labels) for axis in axes)
    if count > MOST_CELLS:
        raise ConfigError(f"grid: a sweep has at most {MOST_CELLS} cells; this one has {count}")
    for entries in product(*(tuple(zip(axis.labels, axis.changes, strict=True)) for axis in axes)):
        labels = {axis.name: label for axis, (label, _) in zip(axes, entries, strict=True)}
        yield labels, tuple(change for _, changes in entries for change in changes)


def _case(where: str, entry: Any) -> tuple[str, tuple[Change, ...]]:
    values = dotted(where, entry)
    label = values.pop("label", None)
    if not isinstance(label, str) or not re.fullmatch(r"[^\x00-\x1f\x7f]{1,60}", label):
        raise ConfigError(f"{where}.label: each table needs a label, one line of 1 to 60 characters; got {label!r}")
    return label, changes_of(where, values)
