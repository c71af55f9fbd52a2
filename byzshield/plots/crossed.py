"""What runs came to by the settings in which they differ: one of them across, the others down, and a figure if it is a number."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from byzshield.plots.comparisons import MOST_LINES, shared_title
from byzshield.plots.document import NONE, Figure, Heading, Key, Part, Table
from byzshield.plots.groups import Group, Spread, in_words, varying
from byzshield.plots.tables import Measure, measure_of
from byzshield.plots.theme import DASHES, SERIES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["crossed", "crossed_tables"]

MOST_SETTINGS: Final = 4  # in which runs differ that were meant to be compared
MOST_COLUMNS: Final = 12
STEEP: Final = 30.0  # times by which the numbers of a setting differ, from which on its scale is logarithmic
CLOSE: Final = 0.06  # of the axis, between two numbers below it
LONGEST_LABEL: Final = 6  # characters, beyond which a number has three digits
LONGEST_LABELS: Final = 36  # characters of numbers that fit below the axis side by side
MARKERS: Final = "osD^vPX*"
NOTE: Final = "At the end of training: the mean over the seeds, and the standard deviation of the sample."
Point = tuple[float, Spread]


@dataclass(frozen=True, kw_only=True)
class _Crossing:
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


def crossed(groups: Sequence[Group]) -> list[Part]:
    """The tables and the figures; nothing where runs differ in too little, or in too much to have been meant for comparison."""
    parts: list[Part] = []
    crossings = list(_crossings(groups))
    for number, crossing in enumerate(crossings, start=1):
        name = f"by-setting-{number}" if len(crossings) > 1 else "by-setting"
        found: list[Part] = [*_table(crossing), *_figures(crossing, name)]
        parts += [Heading(text=crossing.title), *found] if found and len(crossings) > 1 else found
    return [NOTE, *parts] if parts else []


def crossed_tables(groups: Sequence[Group]) -> list[Table]:
    """The tables alone."""
    return [table for crossing in _crossings(groups) for table in _table(crossing)]


def _crossings(groups: Sequence[Group]) -> Iterator[_Crossing]:
    """One for each sweep, and one for the runs of none."""
    for sweep in dict.fromkeys(group.runs[0].sweep for group in groups):
        together = [group for group in groups if group.runs[0].sweep == sweep]
        keys = varying([group.runs[0] for group in together])
        if 0 < len(keys) <= MOST_SETTINGS:
            yield _crossing(together, keys)


def _crossing(groups: Sequence[Group], keys: Sequence[str]) -> _Crossing:
    across = _across(groups, keys)
    rows: dict[str, dict[str, Group]] = {}
    for group in groups:
        words = [in_words(key, group.settings[key]) for key in keys if key != across and key in group.settings]
        row = rows.setdefault(", ".join(words), {})
        column = json.dumps(group.settings.get(across), default=str)
        if column not in row or not row[column].complete:
            row[column] = group
    columns = tuple({json.dumps(value, default=str): value for value in _values(groups, across)}.values())
    return _Crossing(
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


def _table(crossing: _Crossing) -> Iterator[Table]:
    columns = [json.dumps(value, default=str) for value in crossing.columns]
    if len(crossing.rows) < 2 or not 2 <= len(columns) <= MOST_COLUMNS:
        return
    head = (crossing.measure.name, *(in_words(crossing.name, value) for value in crossing.columns))
    body = [(label, *(_cell(row.get(column), crossing.measure) for column in columns)) for label, row in crossing.rows.items()]
    yield Table(name=f"{crossing.measure.name} by setting", rows=[head, *body])


def _cell(group: Group | None, measure: Measure) -> str:
    """What it came to; without that, how it stands."""
    if group is None:
        return NONE
    return measure.words(group) if group.complete else group.runs[0].status


def _figures(crossing: _Crossing, name: str) -> Iterator[Figure]:
    if len(crossing.columns) < 2 or not _is_number(crossing.columns):
        return
    lines = [(label, _points(crossing, row)) for label, row in crossing.rows.items()]
    lines = [(label, points) for label, points in lines if points]
    for begin in range(0, len(lines), MOST_LINES):
        shown = lines[begin : begin + MOST_LINES]
        setting = crossing.name.rpartition(".")[2]
        deviation = any(spread.std is not None for _, points in shown for _, spread in points)
        yield Figure(
            name=name if len(lines) <= MOST_LINES else f"{name}-{1 + begin // MOST_LINES}",
            title=f"{crossing.measure.name} at the end against {setting}{', ± one standard deviation' if deviation else ''}",
            about=crossing.title,
            text=f"{crossing.measure.name} by {setting}: {'; '.join(_in_words(label, points) for label, points in shown)}",
            draw=partial(_draw, shown, crossing.measure, setting),
            keys=tuple(
                Key(label=label, color=SERIES[index], dashes=DASHES[index]) for index, (label, _) in enumerate(shown) if label
            ),
        )


def _points(crossing: _Crossing, row: Mapping[str, Group]) -> list[Point]:
    found = ((value, row.get(json.dumps(value, default=str))) for value in crossing.columns)
    spreads = ((float(value), group.spread(crossing.measure.value)) for value, group in found if group is not None)
    return [(value, spread) for value, spread in spreads if spread is not None]


def _in_words(label: str, points: Sequence[Point]) -> str:
    return f"{label} {', '.join(f'{spread.mean:.3g} at {value:g}' for value, spread in points)}".strip()


def _draw(lines: Sequence[tuple[str, Sequence[Point]]], measure: Measure, setting: str, axes: "Axes") -> None:
    from matplotlib.ticker import PercentFormatter

    for index, (_, points) in enumerate(lines):
        axes.errorbar(
            [value for value, _ in points],
            [spread.mean for _, spread in points],
            yerr=[spread.std or 0.0 for _, spread in points],
            color=SERIES[index],
            linestyle=(0, DASHES[index]) if DASHES[index] else "-",
            linewidth=1.4,
            marker=MARKERS[index],
            markersize=4,
            capsize=2.5,
            elinewidth=0.8,
        )
    _scale(axes, sorted({value for _, points in lines for value, _ in points}))
    axes.set_xlabel(setting)
    axes.set_ylabel(measure.name)
    if measure.share:
        low, high = axes.get_ylim()
        axes.set_ylim(max(0.0, low), min(1.005, high))
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))


def _scale(axes: "Axes", values: Sequence[float]) -> None:
    """A logarithmic one for what differs by magnitudes; the values themselves below it, unless they are too close to be read."""
    places = values
    if values[0] > 0 and values[-1] > STEEP * values[0]:
        axes.set_xscale("log")
        places = [math.log(value) for value in values]
    if all(high - low > CLOSE * (places[-1] - places[0]) for low, high in pairwise(places)):
        labels = [f"{value:g}" if len(f"{value:g}") <= LONGEST_LABEL else f"{value:.3g}" for value in values]
        axes.set_xticks(values, labels, rotation=30 if sum(map(len, labels)) > LONGEST_LABELS else 0)
        axes.set_xticks([], minor=True)
