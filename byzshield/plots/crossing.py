"""Runs by the settings in which they differ: one of them across, the others down."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from byzshield.plots.comparisons import shared_title
from byzshield.plots.groups import Group, in_words, varying
from byzshield.plots.tables import Measure, measure_of

__all__ = ["Crossing", "crossings"]

MOST_SETTINGS: Final = 4  # in which runs differ that were meant to be compared


@dataclass(frozen=True, kw_only=True)
class Crossing:
    """Groups by one setting and by all others.

    Args:
        title: what the groups share.
        name: of the setting that goes across.
        columns: its values.
        rows: for each combination of the others, in words, the groups by column, as JSON.
        measure: what is compared.
    """

    title: str
    name: str
    columns: tuple[Any, ...]
    rows: Mapping[str, Mapping[str, Group]]
    measure: Measure

    @property
    def numeric(self) -> bool:
        """Whether numbers go across, in their order."""
        return _is_number(self.columns)

    def of(self, row: Mapping[str, Group]) -> Iterator[tuple[Any, Group | None]]:
        """A row's groups with the values that they stand below; None where there is none."""
        return ((value, row.get(json.dumps(value, default=str))) for value in self.columns)


def crossings(groups: Sequence[Group]) -> Iterator[Crossing]:
    """One for each sweep, and one for the runs of none."""
    for sweep in dict.fromkeys(group.runs[0].sweep for group in groups):
        together = [group for group in groups if group.runs[0].sweep == sweep]
        keys = varying([group.runs[0] for group in together])
        if 0 < len(keys) <= MOST_SETTINGS:
            yield _crossing(together, keys)


def _crossing(groups: Sequence[Group], keys: Sequence[str]) -> Crossing:
    across = _across(groups, keys)
    rows: dict[str, dict[str, Group]] = {}
    for group in groups:
        words = [in_words(key, group.settings[key]) for key in keys if key != across and key in group.settings]
        row = rows.setdefault(", ".join(words), {})
        column = json.dumps(group.settings.get(across), default=str)
        if column not in row or not row[column].complete:
            row[column] = group
    columns = tuple({json.dumps(value, default=str): value for value in _values(groups, across)}.values())
    return Crossing(
        title=", ".join(filter(None, (groups[0].sweep, shared_title(groups)))),
        name=across,
        columns=tuple(sorted(columns)) if _is_number(columns) else columns,
        rows=rows,
        measure=measure_of(groups),
    )


def _across(groups: Sequence[Group], keys: Sequence[str]) -> str:
    """The number that has most values, or else the last setting."""
    numbers = [key for key in keys if _is_number(_values(groups, key))]
    return max(reversed(numbers), key=lambda key: len(set(_values(groups, key))), default=keys[-1])


def _values(groups: Sequence[Group], key: str) -> list[Any]:
    return [group.settings.get(key) for group in groups]


def _is_number(values: Sequence[Any]) -> bool:
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
