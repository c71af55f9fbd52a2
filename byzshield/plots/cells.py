"""Matrices of workers and files, drawn cell by cell."""

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from byzshield.plots.theme import BAD, PAPER

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

__all__ = ["LEAST_ROW", "Cell", "draw_cells", "frame_cells"]

Cell = tuple[int, int]  # row, column
MOST_SHAPES: Final = 3000  # drawn as shapes; more are drawn as pixels
MOST_CROSSED: Final = 100  # columns among which a cross is seen
GAP: Final = 0.06  # of a cell, on each side
LEAST_ROW: Final = 0.05  # inches; where columns are narrower, cells are higher than wide
STEPS: Final = [factor * 10**power for power in range(9) for factor in (1, 2, 5)]  # between two numbers
LABEL_POINTS: Final = 7
DIGIT, LINE, SPACE = 0.062, 0.12, 0.04  # inches of such a label


def draw_cells(axes: "Axes", cells: Sequence[Cell], shape: tuple[int, int], *, color: str, crossed: bool = False) -> None:
    """Fills cells of a matrix.

    Args:
        axes: where.
        cells: which.
        shape: rows and columns of the matrix.
        color: of all of them.
        crossed: whether they have a cross, where it can be seen.
    """
    if not cells:
        return
    if len(cells) > MOST_SHAPES:
        _draw_pixels(axes, cells, shape, color=color)
        return
    low, high = -0.5 + GAP, 0.5 - GAP
    _draw_polygons(axes, cells, [(low, low), (high, low), (high, high), (low, high)], color=color)
    if crossed and shape[1] <= MOST_CROSSED:
        stroke = [(-0.2, -0.16), (-0.16, -0.2), (0.2, 0.16), (0.16, 0.2)]
        _draw_polygons(axes, cells, stroke, color=PAPER)
        _draw_polygons(axes, cells, [(-y, x) for x, y in stroke], color=PAPER)


def frame_cells(
    axes: "Axes",
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    marked: Collection[int] = (),
    marked_columns: Collection[int] = (),
) -> None:
    """Sets the limits of a matrix and names its rows and columns, or so many of them as can be read.

    Args:
        axes: where it is drawn.
        rows: the names, from above.
        columns: the names, from the left.
        marked: rows whose names stand out, and are there before others.
        marked_columns: the same of columns.
    """
    axes.grid(visible=False)
    axes.set_xlim(-0.5, len(columns) - 0.5)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    area = axes.get_window_extent()
    width, height = area.width / axes.figure.dpi / len(columns), area.height / axes.figure.dpi / len(rows)
    if width >= LEAST_ROW:
        axes.set_aspect("equal")
        width = height = min(width, height)
    else:
        axes.set_aspect("auto")
    _name(axes.xaxis, columns, set(marked_columns), apart=(SPACE + DIGIT * max(map(len, columns))) / width)
    _name(axes.yaxis, rows, set(marked), apart=LINE / height)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _name(axis: "Axis", names: Sequence[str], marked: set[int], *, apart: float) -> None:
    """Names rows or columns that are so many apart, those that are marked before others."""
    step = next(step for step in STEPS if step >= apart)
    shown: list[int] = []
    for place in [*sorted(marked), *range(0, len(names), step)]:
        if all(abs(place - other) >= apart for other in shown):
            shown.append(place)
    shown.sort()
    axis.set_ticks(shown, [names[place] for place in shown], fontsize=LABEL_POINTS)
    axis.set_tick_params(length=0)
    for place, label in zip(shown, axis.get_ticklabels(), strict=True):
        if place in marked:
            label.set(color=BAD, fontweight="bold")


def _draw_polygons(axes: "Axes", cells: Sequence[Cell], corners: Sequence[tuple[float, float]], *, color: str) -> None:
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    centers = np.array([(column, row) for row, column in cells], dtype=float)
    shapes = Path.make_compound_path_from_polys(centers[:, None, :] + np.array(corners))
    axes.add_patch(PathPatch(shapes, facecolor=color, edgecolor="none"))


def _draw_pixels(axes: "Axes", cells: Sequence[Cell], shape: tuple[int, int], *, color: str) -> None:
    from matplotlib.colors import to_rgb

    pixels = np.zeros((*shape, 4), dtype=np.uint8)
    rows, columns = zip(*cells, strict=True)
    pixels[list(rows), list(columns)] = [*(round(255 * part) for part in to_rgb(color)), 255]
    axes.imshow(pixels, interpolation="none", aspect="equal")
