"""What runs came to against a setting that is a number."""

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from byzshield.plots.comparisons import MOST_LINES
from byzshield.plots.crossing import Crossing
from byzshield.plots.document import Figure, Key
from byzshield.plots.groups import Group, Spread
from byzshield.plots.tables import Measure
from byzshield.plots.theme import DASHES, SERIES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["crossed_figures"]

STEEP: Final = 30.0  # times by which the numbers of a setting differ, from which on its scale is logarithmic
CLOSE: Final = 0.06  # of the axis, between two numbers below it
LONGEST_LABEL: Final = 6  # characters, beyond which a number has three digits
LONGEST_LABELS: Final = 36  # characters of numbers that fit below the axis side by side
MARKERS: Final = "osD^vPX*"
Point = tuple[float, Spread]


def crossed_figures(crossing: Crossing, name: str) -> Iterator[Figure]:
    """A figure if a number goes across; more if one cannot hold all rows.

    Args:
        crossing: the runs.
        name: of the figures' files.
    """
    if len(crossing.columns) < 2 or not crossing.numeric:
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


def _points(crossing: Crossing, row: Mapping[str, Group]) -> list[Point]:
    spreads = ((float(value), group.spread(crossing.measure.value)) for value, group in crossing.of(row) if group is not None)
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
