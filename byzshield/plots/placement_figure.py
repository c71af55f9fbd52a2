"""Pictures of a placement: who computes which file, the Byzantine workers marked, and the files that they corrupt."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, get_args

import numpy as np

from byzshield.errors import ParameterError, StorageError
from byzshield.plots.distortion import check_figure_path
from byzshield.storage import atomic_write

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

    from byzshield.placement import Assignment

__all__ = ["STYLES", "Style", "draw_graph", "draw_matrix", "in_words", "size_of", "write_placement"]

Style = Literal["matrix", "graph"]
STYLES: Final[tuple[Style, ...]] = get_args(Style)

INK, MUTED, GRID, BAD = "#1b1f24", "#57606a", "#d5dae0", "#b3261e"
SHADE: Final = 0.16  # of the color of what is corrupted, behind a column
MOST_LABELS: Final = 40
MOST_VECTORS: Final = 4_000  # copies that are drawn one by one; more are one image
MOST_CELLS: Final = 20_000_000
DOTS_AN_INCH: Final = 200


def draw_matrix(axes: "Axes", assignment: "Assignment", byzantine: Sequence[int] = ()) -> None:
    """Draws the incidence matrix: a row a worker, a column a file, a square a copy.

    Copies in Byzantine hands are crossed, columns of corrupted files are shaded, and both have bold numbers, so that the picture
    says the same without color.

    Args:
        axes: where to draw.
        assignment: the placement of one step.
        byzantine: workers to mark.
    """
    bad = set(byzantine)
    corrupted = _corrupted(assignment, byzantine)
    for file in corrupted:
        axes.axvspan(file - 0.5, file + 0.5, color=BAD, alpha=SHADE, linewidth=0)
    if assignment.files_of.size > MOST_VECTORS:
        _as_image(axes, assignment, bad)
    else:
        _as_squares(axes, assignment, bad)
    axes.set_xlim(-0.5, assignment.num_files - 0.5)
    axes.set_ylim(assignment.num_workers - 0.5, -0.5)
    axes.set(xlabel="file", ylabel="worker")
    axes.grid(visible=False)
    axes.tick_params(length=0)
    _number(axes.xaxis, assignment.num_files, set(corrupted))
    _number(axes.yaxis, assignment.num_workers, bad)


def draw_graph(axes: "Axes", assignment: "Assignment", byzantine: Sequence[int] = ()) -> None:
    """Draws the bipartite graph: workers on the left, files on the right, a line for each copy.

    Lines of Byzantine workers are thick, and these and the files that they corrupt are squares, with bold numbers.

    Args:
        axes: where to draw.
        assignment: the placement of one step.
        byzantine: workers to mark.
    """
    bad = set(byzantine)
    corrupted = set(_corrupted(assignment, byzantine))
    left, right = _places(assignment.num_workers), _places(assignment.num_files)
    for worker, files in enumerate(assignment.files_of.tolist()):
        color, width, order = (BAD, 1.4, 2) if worker in bad else (MUTED, 0.5, 1)
        for file in files:
            axes.plot([0, 1], [left[worker], right[file]], color=color, linewidth=width, zorder=order, alpha=0.8)
    for x, places, marked, side in ((0, left, bad, -1), (1, right, corrupted, 1)):
        for number, place in enumerate(places):
            hit = number in marked
            axes.plot([x], [place], "s" if hit else "o", color=BAD if hit else INK, markersize=6 if hit else 4, zorder=3)
            if len(places) <= MOST_LABELS or hit:
                axes.annotate(
                    str(number),
                    (x, place),
                    xytext=(7 * side, 0),
                    textcoords="offset points",
                    ha="right" if side < 0 else "left",
                    va="center",
                    fontsize=7,
                    color=BAD if hit else INK,
                    weight="bold" if hit else "normal",
                )
    axes.text(0, -0.06, "workers", ha="center", color=INK)
    axes.text(1, -0.06, "files", ha="center", color=INK)
    axes.set_xlim(-0.15, 1.15)
    axes.set_ylim(1.04, -0.1)
    axes.set_axis_off()


def size_of(assignment: "Assignment", style: Style = "matrix") -> tuple[float, float]:
    """Width and height in inches in which the picture is legible."""
    workers, files = assignment.num_workers, assignment.num_files
    if style == "graph":
        return 5.0, float(np.clip(0.2 * max(workers, files), 3, 12))
    width = float(np.clip(0.2 * files + 1, 4, 12))
    return width, float(np.clip(0.2 * workers + 1, 2.5, 12))


def in_words(assignment: "Assignment", byzantine: Sequence[int] = ()) -> str:
    """The picture in words, for its title or for who cannot see it."""
    who = (
        f"{assignment.scheme}: {assignment.num_workers} workers, {assignment.num_files} files, "
        f"{assignment.load} a worker, {assignment.replication} workers a file"
    )
    if not byzantine:
        return who
    corrupted = _corrupted(assignment, byzantine)
    return (
        f"{who}; Byzantine workers: {_listed(byzantine)}; they corrupt {len(corrupted)} of {assignment.num_files} files"
        f"{f': {_listed(corrupted)}' if corrupted else ''}"
    )


def write_placement(assignment: "Assignment", path: str, *, byzantine: Sequence[int] = (), style: Style = "matrix") -> None:
    """Writes the picture to a file, without a display.

    Args:
        assignment: the placement.
        path: where to write; the suffix (.pdf, .png or .svg) says in which format.
        byzantine: workers to mark.
        style: "matrix" or "graph".

    Raises:
        ParameterError: the suffix is another one, the file cannot be written, or the placement is too large to be drawn.
        RequestError: matplotlib is not installed.
    """
    check_figure_path(path)
    if assignment.num_workers * assignment.num_files > MOST_CELLS:
        raise ParameterError(
            f"a placement is drawn up to {MOST_CELLS:,} workers times files; got {assignment.num_workers} workers and "
            f"{assignment.num_files} files"
        )
    if style == "graph" and assignment.files_of.size > MOST_VECTORS:
        raise ParameterError(
            f"a graph is drawn up to {MOST_VECTORS:,} copies of files; got {assignment.files_of.size}: draw a matrix"
        )
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    width, height = size_of(assignment, style)
    figure = Figure(figsize=(width, height + 0.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    draw: Callable[[Axes, Assignment, Sequence[int]], None] = {"matrix": draw_matrix, "graph": draw_graph}[style]
    draw(axes, assignment, byzantine)
    figure.suptitle(in_words(assignment, byzantine), fontsize=9, wrap=True, color=INK)
    try:
        with atomic_write(Path(path)) as file:
            figure.savefig(file, format=Path(path).suffix[1:], dpi=DOTS_AN_INCH)
    except StorageError as error:
        raise ParameterError(f"the figure {error}") from error


def _corrupted(assignment: "Assignment", byzantine: Sequence[int]) -> list[int]:
    held = np.bincount(assignment.files_of[list(byzantine)].ravel(), minlength=assignment.num_files)
    return [int(file) for file in np.flatnonzero(held >= assignment.threshold)]


def _as_squares(axes: "Axes", assignment: "Assignment", bad: set[int]) -> None:
    from matplotlib.collections import PolyCollection

    corners = np.array([(-0.4, -0.4), (0.4, -0.4), (0.4, 0.4), (-0.4, 0.4)])
    for color, workers in ((MUTED, set(range(assignment.num_workers)) - bad), (BAD, bad)):
        squares = [corners + np.array([file, worker]) for worker in sorted(workers) for file in assignment.files_of[worker]]
        axes.add_collection(PolyCollection(squares, facecolors=color, linewidths=0))
    crossed = [(file, worker) for worker in sorted(bad) for file in assignment.files_of[worker]]
    if crossed:
        axes.plot(*zip(*crossed, strict=True), "x", color="white", markersize=4, markeredgewidth=1)


def _as_image(axes: "Axes", assignment: "Assignment", bad: set[int]) -> None:
    from matplotlib.colors import ListedColormap

    cells = assignment.incidence.astype(np.uint8)
    cells[sorted(bad)] *= 2
    colors = ListedColormap(["#ffffff00", MUTED, BAD])
    axes.imshow(cells, cmap=colors, vmin=0, vmax=2, aspect="auto", interpolation="nearest", zorder=2)


def _number(axis: "Axis", count: int, marked: set[int]) -> None:
    """Numbers rows or columns, those that are marked before others; where there are many, as many as have room."""
    step = -(-count // MOST_LABELS)
    shown: list[int] = []
    for number in [*sorted(marked), *range(0, count, step)]:
        if all(abs(number - other) >= step for other in shown):
            shown.append(number)
    shown.sort()
    axis.set_ticks(shown, [str(number) for number in shown], fontsize=7)
    for number, label in zip(shown, axis.get_ticklabels(), strict=True):
        label.set(color=BAD if number in marked else INK, fontweight="bold" if number in marked else "normal")


def _places(count: int) -> list[float]:
    return [(number + 0.5) / count for number in range(count)]


def _listed(numbers: Sequence[int]) -> str:
    shown = ", ".join(map(str, numbers[:12]))
    return shown if len(numbers) <= 12 else f"{shown}, ..."
