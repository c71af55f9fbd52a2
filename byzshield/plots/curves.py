"""Curves of accuracy and loss, against steps and against time, told apart also where they coincide."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

from byzshield.plots.comparisons import Comparison, Line
from byzshield.plots.document import Figure, Key
from byzshield.plots.series import Series, series
from byzshield.plots.theme import MUTED

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["curves"]

LONGEST_LABEL: Final = 15  # characters that fit beside a curve; where one is longer, all have letters
LINE_HEIGHT: Final = 0.075  # of the axes, between two labels
MARKS: Final = 8  # on a curve
STEEP: Final = 30.0  # times by which the losses of a figure differ, from which on its scale is logarithmic
Drawn = tuple[Line, Series, str]  # the string is its label beside the curve


def curves(comparison: Comparison, name: str) -> Iterator[Figure]:
    """The figures of a comparison: test accuracy, or else test loss, and training loss; each against steps and against time.

    Args:
        comparison: what to compare.
        name: how the names of its figures begin.
    """
    accuracy = any(run.series("test_accuracy") for line in comparison.lines for run in line.group.runs)
    tested = ("test_accuracy", "test accuracy") if accuracy else ("test_loss", "test loss")
    for measure, words in (tested, ("loss", "training loss")):
        found = [(line, points) for line in comparison.lines if (points := series(line.group, measure)) is not None]
        if not found:
            continue
        letters = max(len(line.label) for line, _ in found) > LONGEST_LABEL
        drawn = [(line, points, chr(65 + index) if letters else line.label) for index, (line, points) in enumerate(found)]
        keys = tuple(_key(line, label) for line, _, label in drawn) if len(drawn) > 1 or letters else ()
        for against, position in (("step", _steps), ("seconds", _seconds)):
            usable = [entry for entry in drawn if position(entry[1])]
            if usable and (against == "step" or len(usable[0][1].steps) > 1):
                yield Figure(
                    name=f"{name}-{measure}-{against}".replace("_", "-"),
                    title=f"{words} against {'steps' if against == 'step' else 'seconds of training'}",
                    about=comparison.title,
                    text=_in_words(words, comparison, usable),
                    draw=partial(_draw, usable, position, against, words),
                    keys=keys,
                )


def _steps(points: Series) -> Sequence[float]:
    return points.steps


def _seconds(points: Series) -> Sequence[float]:
    return points.seconds


def _key(line: Line, label: str) -> Key:
    letter = "" if label == line.label else f"{label}: "
    ended = line.group.complete
    status = "" if ended else f" ({line.group.runs[0].status})"
    return Key(label=f"{letter}{line.label}{status}", color=line.color, dashes=line.dashes)


def _in_words(words: str, comparison: Comparison, drawn: Sequence[Drawn]) -> str:
    ends = sorted(drawn, key=lambda entry: -entry[1].mean[-1])
    said = [f"{line.label} {_value(words, points.mean[-1])} at step {points.steps[-1]}" for line, points, _ in ends]
    return f"{words}; {comparison.title}: {'; '.join(said)}"


def _value(words: str, value: float) -> str:
    return f"{value:.1%}" if words.endswith("accuracy") else f"{value:.3g}"


def _draw(drawn: Sequence[Drawn], position: Callable[[Series], Sequence[float]], against: str, words: str, axes: "Axes") -> None:
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    for index, (line, points, _) in enumerate(drawn):
        _draw_line(axes, line, points, position(points), above=index, of=len(drawn))
    axes.set_xlabel(against if against == "step" else "seconds, without evaluations")
    axes.set_ylabel(words)
    axes.set_xlim(left=0)
    if against == "step":
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    if words.endswith("accuracy"):
        low, high = axes.get_ylim()
        axes.set_ylim(max(0.0, low), min(1.0, max(high, low + 0.1)) + 0.005)
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    elif _steep(drawn):
        axes.set_yscale("log")
    _label_ends(axes, [(position(points)[-1], points.mean[-1], line.color, label) for line, points, label in drawn])


def _draw_line(axes: "Axes", line: Line, points: Series, places: Sequence[float], *, above: int, of: int) -> None:
    """Wide below and narrow above, so that what coincides shows; a run that has not come to its end is pale."""
    pale = 1.0 if line.group.complete else 0.55
    width = 1.3 + 1.2 * (of - 1 - above) / max(1, of - 1)
    stride = max(1, len(places) // MARKS)
    few = len(places) <= 3 * MARKS
    axes.plot(
        places,
        points.mean,
        color=line.color,
        linestyle=(0, line.dashes) if line.dashes else "-",
        linewidth=width,
        alpha=pale,
        marker="o" if few else None,
        markersize=width + 1.4,
        markevery=(above % stride, stride),
        markeredgewidth=0,
    )
    if points.low != points.high:
        axes.fill_between(places, points.low, points.high, color=line.color, alpha=0.18, linewidth=0)


def _steep(drawn: Sequence[Drawn]) -> bool:
    values = [value for _, points, _ in drawn for value in points.mean]
    return min(values) > 0 and max(values) > STEEP * min(values)


def _label_ends(axes: "Axes", ends: Sequence[tuple[float, float, str, str]]) -> None:
    """Writes a label beside the end of each curve; where ends are close, the labels move apart, each with a line to its end."""
    axes.autoscale(enable=False)
    to_axes = axes.transData + axes.transAxes.inverted()
    points = [tuple(map(float, to_axes.transform((x, y)))) for x, y, _, _ in ends]
    order = sorted(range(len(ends)), key=lambda index: (points[index][1], -index))
    places = dict(zip(order, _apart([points[index][1] for index in order]), strict=True))
    for index, (_, _, color, label) in enumerate(ends):
        x, y = points[index]
        axes.plot([x + 0.01, 1.025], [y, places[index]], transform=axes.transAxes, color=MUTED, linewidth=0.5, clip_on=False)
        axes.text(1.035, places[index], label, transform=axes.transAxes, color=color, fontsize=8, va="center")


def _apart(heights: Sequence[float]) -> list[float]:
    """Ascending heights, moved until none is nearer to the next than a line is high, and none is far outside."""
    places = [min(max(height, 0.02), 0.98) for height in heights]
    for _ in range(50):
        for low in range(len(places) - 1):
            missing = LINE_HEIGHT - (places[low + 1] - places[low])
            if missing > 1e-9:
                places[low] -= missing / 2
                places[low + 1] += missing / 2
        beyond = max(0.0, -places[0]) - max(0.0, places[-1] - 1)
        places = [place + beyond for place in places] if abs(beyond) > 1e-9 and len(places) * LINE_HEIGHT < 1 else places
    return places
