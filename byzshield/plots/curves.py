"""Curves of test accuracy, in panels of a few groups each; matplotlib is imported only when they are drawn."""

import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from byzshield.plots.groups import Group

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Line", "Panel", "draw", "panels"]

MOST_LINES: Final = 8
COLORS: Final = ("#3f90da", "#e76300", "#832db6", "#bd1f01", "#5c8a3a", "#a96b59", "#7a8886", "#c79100")
MARKERS: Final = "osD^vPX*"
GLYPHS: Final = "●■◆▲▼✚✖★"  # the markers as text, for legends


@dataclass(frozen=True, kw_only=True)
class Line:
    """A group in a panel.

    Args:
        label: what tells it from the other lines of its panel.
        color: as matplotlib and HTML write it.
        marker: an index of MARKERS and GLYPHS.
        group: the group.
    """

    label: str
    color: str
    marker: int
    group: Group

    @property
    def glyph(self) -> str:
        """Its marker as text."""
        return GLYPHS[self.marker]


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One pair of axes.

    Args:
        title: what its lines share; may be empty.
        lines: at most MOST_LINES.
    """

    title: str
    lines: tuple[Line, ...]


def panels(groups: Sequence[Group]) -> list[Panel]:
    """Spreads groups over panels: those of a sweep that differ in its first axis alone stand together, others as they come.

    A label has the same color and marker in all panels.
    """
    together: dict[str, list[tuple[str, str, Group]]] = {}
    for group in groups:
        title, label = _title_and_label(group)
        together.setdefault(json.dumps([group.runs[0].sweep, title]), []).append((title, label, group))
    order = {
        label: index for index, label in enumerate(dict.fromkeys(label for found in together.values() for _, label, _ in found))
    }
    return [panel for found in together.values() for panel in _panels(found, order)]


def draw(panel: Panel) -> str:
    """A panel as inline SVG without a legend: mean and standard deviation of each group; dashed, runs that have not ended."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.6), layout="constrained")
    axes = figure.subplots()
    for line in panel.lines:
        _draw_line(axes, line)
    axes.set_xlabel("step")
    axes.set_ylabel("test accuracy")
    axes.set_ylim(0, 1)
    axes.grid(alpha=0.3)
    text = io.StringIO()
    figure.savefig(text, format="svg")
    return "<svg" + text.getvalue().partition("<svg")[2]


def _draw_line(axes: "Axes", line: Line) -> None:
    curve = line.group.curve()
    style: dict[str, Any] = {"color": line.color, "marker": MARKERS[line.marker], "markersize": 3.0}
    if not line.group.complete:
        for run in line.group.runs:
            axes.plot([step for step, _ in run.accuracy], [accuracy for _, accuracy in run.accuracy], linestyle="--", **style)
        return
    steps, means = [step for step, _ in curve], [spread.mean for _, spread in curve]
    axes.plot(steps, means, **style)
    widths = [spread.std or 0.0 for _, spread in curve]
    if any(widths):
        low = [max(0.0, mean - width) for mean, width in zip(means, widths, strict=True)]
        high = [min(1.0, mean + width) for mean, width in zip(means, widths, strict=True)]
        axes.fill_between(steps, low, high, color=line.color, alpha=0.2, linewidth=0)


def _title_and_label(group: Group) -> tuple[str, str]:
    """Of a sweep's cells, the first axis tells the lines of a panel apart."""
    if group.runs[0].sweep is None:
        return "", group.label
    return ", ".join(filter(None, (group.sweep, *group.words[1:]))), group.words[0]


def _panels(found: Sequence[tuple[str, str, Group]], order: dict[str, int]) -> Iterator[Panel]:
    for begin in range(0, len(found), MOST_LINES):
        lines = []
        for index, (_, label, group) in enumerate(found[begin : begin + MOST_LINES]):
            number = order[label] % MOST_LINES if len(order) <= MOST_LINES else index
            lines.append(Line(label=label, color=COLORS[number], marker=number, group=group))
        yield Panel(title=found[0][0], lines=tuple(lines))
