"""A placement as a graph: workers on the left, files on the right, a line for each copy."""

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Final

from byzshield.plots.cells import Cell
from byzshield.plots.theme import BAD, INK

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from byzshield.plots.records import Placement

__all__ = ["draw_graph"]

MOST_LABELS: Final = 40  # on a side; of more, only what is marked has its number


def draw_graph(placement: "Placement", kinds: Sequence[tuple[list[Cell], str]], axes: "Axes") -> None:
    """Draws the lines of each kind, those of Byzantine workers thick, and Byzantine workers and corrupted files as squares.

    Args:
        placement: whose nodes are drawn.
        kinds: copies, as worker and file, and their color; the last is on top.
        axes: where to draw.
    """
    from matplotlib.collections import LineCollection

    left, right = _places(placement.num_workers), _places(placement.num_files)
    for cells, color in kinds:
        lines = [((0.0, left[worker]), (1.0, right[file])) for worker, file in cells]
        axes.add_collection(LineCollection(lines, colors=color, linewidths=1.4 if color == BAD else 0.5, alpha=0.8))
    _draw_side(axes, 0, left, set(placement.byzantine))
    _draw_side(axes, 1, right, set(placement.corrupted))
    axes.set_xlim(-0.15, 1.15)
    axes.set_ylim(1.02, -0.06)
    axes.set_axis_off()


def _draw_side(axes: "Axes", x: int, places: Sequence[float], marked: Collection[int]) -> None:
    direction, align = ((-1, "right"), (1, "left"))[x]
    for number, place in enumerate(places):
        hit = number in marked
        axes.plot([x], [place], "s" if hit else "o", color=BAD if hit else INK, markersize=6 if hit else 4, zorder=3)
        if len(places) <= MOST_LABELS or hit:
            axes.annotate(
                str(number),
                (x, place),
                xytext=(7 * direction, 0),
                textcoords="offset points",
                ha=align,
                va="center",
                fontsize=7,
                color=BAD if hit else INK,
                weight="bold" if hit else "normal",
            )
    axes.text(x, -0.02, ("workers", "files")[x], ha="center", va="bottom", color=INK)


def _places(count: int) -> list[float]:
    return [(number + 0.5) / count for number in range(count)]
