"""The figure of worst-case corruption: epsilon against q, one curve a scheme."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from byzshield.errors import ParameterError, StorageError
from byzshield.extras import require
from byzshield.plots.document import Figure
from byzshield.plots.drawing import one_file
from byzshield.plots.theme import MUTED, SERIES
from byzshield.storage import atomic_write

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Curve", "check_figure_path", "draw_epsilon", "merged"]

FORMATS = (".pdf", ".png", ".svg")
MARKERS = "osD^vPX*"


def check_figure_path(path: str) -> None:
    """Refuses a file that no figure can be written to, before the work for the figure is done.

    Raises:
        ParameterError: the suffix is unknown, the folder is missing, or the path is itself a folder.
        RequestError: matplotlib is not installed.
    """
    require("matplotlib")
    if Path(path).suffix not in FORMATS:
        raise ParameterError(f"a figure is written as one of {', '.join(FORMATS)}; got {path}")
    if not Path(path).absolute().parent.is_dir():
        raise ParameterError(f"the folder of the figure does not exist: {path}")
    if Path(path).is_dir():
        raise ParameterError(f"a figure is written to a file, but this is a folder: {path}")


@dataclass(frozen=True, kw_only=True)
class Curve:
    """Worst cases of one placement.

    Args:
        label: what it is.
        points: (q, epsilon that is reached, epsilon that is proved not to be exceeded), ascending in q.
        bound: (q, spectral bound / f), if it is to be drawn.
    """

    label: str
    points: tuple[tuple[int, float, float], ...]
    bound: tuple[tuple[int, float], ...] = ()


def draw_epsilon(curves: Sequence[Curve], path: str, *, title: str) -> None:
    """Writes the figure to a file, without a display. What is not proved is a bar from what is reached to what is possible.

    Args:
        curves: one a placement; those that coincide are one line with both labels.
        path: where to write; the suffix (.pdf, .png or .svg) says in which format.
        title: the line above the figure.

    Raises:
        ParameterError: the suffix is another one, or the file cannot be written.
    """
    check_figure_path(path)
    figure = Figure(name="epsilon", title=title, text=title, draw=partial(_draw, merged(curves)), size=(6.4, 4.2))
    content = one_file(figure, Path(path).suffix[1:])
    try:
        with atomic_write(Path(path)) as file:
            file.write(content)
    except StorageError as error:
        raise ParameterError(f"the figure {error}") from error


def merged(curves: Sequence[Curve]) -> list[Curve]:
    """Those that go through the same points as one."""
    found: dict[object, Curve] = {}
    for curve in curves:
        before = found.get(curve.points)
        found[curve.points] = (
            curve
            if before is None
            else replace(before, label=f"{before.label} = {curve.label}", bound=before.bound or curve.bound)
        )
    return list(found.values())


def _draw(curves: Sequence[Curve], axes: "Axes") -> None:
    from matplotlib.ticker import MaxNLocator

    for place, curve in enumerate(curves):
        _draw_curve(axes, curve, place)
    axes.axhline(0.5, color=MUTED, linestyle=":", linewidth=1, label="half of the files: no rule bears it")
    # A bound soon says nothing, and would leave the curves no room: it leaves the figure at the top.
    top = max(0.55, 1.1 * max(possible for curve in curves for _, _, possible in curve.points))
    axes.set_ylim(-0.015 * top, top)
    axes.set(xlabel="Byzantine workers q", ylabel="corrupted files at worst, epsilon = c_max / f")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(fontsize=8)


def _draw_curve(axes: "Axes", curve: Curve, place: int) -> None:
    numbers, reached, _ = zip(*curve.points, strict=True)
    # Curves can meet; smaller markers on top leave the lower ones visible.
    size, color, marker = max(4, 10 - 2 * place), SERIES[place % len(SERIES)], MARKERS[place % len(MARKERS)]
    axes.plot(numbers, reached, marker=marker, markersize=size, color=color, label=curve.label, alpha=0.85)
    unproved = [point for point in curve.points if point[1] < point[2]]
    if unproved:
        label = f"not proved: {curve.label} is within"
        axes.vlines(*zip(*unproved, strict=True), color=color, linewidth=size, alpha=0.3, label=label)
    if curve.bound:
        label = f"spectral bound of {curve.label.partition(' = ')[0]}"
        axes.plot(*zip(*curve.bound, strict=True), linestyle="--", color=color, linewidth=1, label=label)
