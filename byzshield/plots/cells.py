"""Matrices of workers and files, drawn cell by cell."""

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw_cells", "frame_cells"]

Cell = tuple[int, int]  # row, column
MOST_SHAPES: Final = 3000  # drawn as shapes; more are drawn as pixels
GAP: Final = 0.06  # of a cell, on each side
MOST_TICKS: Final = 16
STEPS: Final = [factor * 10**power for power in range(9) for factor in (1, 2, 5)]  # between two ticks


def draw_cells(axes: "Axes", cells: Sequence[Cell], shape: tuple[int, int], *, color: str, alpha: float = 1.0) -> None:
    """Fills cells of a matrix.

    Args:
        axes: where.
        cells: which.
        shape: rows and columns of the matrix.
        color: of all of them.
        alpha: from 0, invisible, to 1.
    """
    if not cells:
        return
    if len(cells) > MOST_SHAPES:
        _draw_pixels(axes, cells, shape, color=color, alpha=alpha)
        return
    import numpy as np
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    low, high = -0.5 + GAP, 0.5 - GAP
    corners = np.array([[low, low], [high, low], [high, high], [low, high], [low, low]])
    centers = np.array([(column, row) for row, column in cells], dtype=float)
    squares = Path.make_compound_path_from_polys(centers[:, None, :] + corners)
    axes.add_patch(PathPatch(squares, facecolor=color, edgecolor="none", alpha=alpha))


def frame_cells(axes: "Axes", rows: Sequence[str], columns: Sequence[str], *, marked: Collection[int] = ()) -> None:
    """Sets the limits of a matrix and names its rows and columns, or so many of them as can be read.

    Args:
        axes: where it is drawn.
        rows: the names, from above.
        columns: the names, from the left.
        marked: rows whose names stand out.
    """
    from byzshield.plots.theme import BAD

    axes.grid(visible=False)
    axes.set_aspect("equal")
    axes.set_xlim(-0.5, len(columns) - 0.5)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    for axis, names in ((axes.xaxis, columns), (axes.yaxis, rows)):
        step = next(step for step in STEPS if step * MOST_TICKS >= len(names))
        places = range(0, len(names), step)
        axis.set_ticks(list(places), [names[place] for place in places], fontsize=7)
        axis.set_tick_params(length=0)
    for place, label in zip(axes.get_yticks(), axes.get_yticklabels(), strict=True):
        if round(float(place)) in marked:
            label.set_color(BAD)
            label.set_fontweight("bold")
    for spine in axes.spines.values():
        spine.set_visible(False)


def _draw_pixels(axes: "Axes", cells: Sequence[Cell], shape: tuple[int, int], *, color: str, alpha: float) -> None:
    import numpy as np
    from matplotlib.colors import to_rgba

    pixels = np.zeros((*shape, 4))
    rows, columns = zip(*cells, strict=True)
    pixels[list(rows), list(columns)] = to_rgba(color, alpha)
    axes.imshow(pixels, interpolation="none", aspect="equal")
