"""Pictures of a placement: who computes which file, the Byzantine workers marked, and the files that they corrupt."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, get_args

import numpy as np

from byzshield.errors import ParameterError, StorageError
from byzshield.plots.cells import LEAST_ROW, Cell, draw_cells, frame_cells
from byzshield.plots.distortion import check_figure_path
from byzshield.plots.document import Figure, Key
from byzshield.plots.drawing import one_file
from byzshield.plots.placement_graph import draw_graph
from byzshield.plots.records import Placement
from byzshield.plots.theme import BAD, SERIES, WARN
from byzshield.storage import atomic_write

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from byzshield.placement import Assignment

__all__ = ["STYLES", "Style", "placement_figure", "write_placement"]

Style = Literal["matrix", "graph"]
STYLES: Final[tuple[Style, ...]] = get_args(Style)

SHADE: Final = 0.16  # of the color of what is corrupted, behind a column
IN_A_REPORT: Final = 4.8, 4.4  # most inches, in width and height
ON_A_PAGE: Final = 12.0, 12.0
MOST_ROW: Final = 0.3  # inches
MOST_LINES: Final = 4_000  # of a graph
MOST_CELLS: Final = 20_000_000
MOST_NAMED: Final = 20


def placement_figure(placement: Placement, name: str, *, about: str = "", style: Style = "matrix") -> Figure:
    """Draws who holds which file.

    In the matrix, copies in Byzantine hands are crossed, columns of corrupted files are shaded, and both have bold numbers, so
    that the picture says the same without color; in the graph, thick lines and squares do.

    Args:
        placement: what to draw.
        name: of the figure.
        about: which run's.
        style: "matrix", a row a worker and a column a file, or "graph", a line a copy.
    """
    kinds = _kinds(placement)
    mark, drawn = {"matrix": ("shaded", _draw_matrix), "graph": ("squares", draw_graph)}[style]
    captured = f"Byzantine workers capture {len(placement.corrupted)} of {placement.num_files} files ({mark})"
    return Figure(
        name=name,
        title=f"{placement.scheme}: {captured if placement.byzantine else 'who holds which file'}",
        about=about,
        text=_in_words(placement),
        draw=partial(drawn, placement, [(cells, color) for cells, color, _ in kinds]),
        keys=tuple(Key(label=label, color=color, area=style == "matrix") for cells, color, label in kinds if cells),
        size=_size(placement, style, IN_A_REPORT),
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
    if style == "graph" and assignment.files_of.size > MOST_LINES:
        raise ParameterError(
            f"a graph is drawn up to {MOST_LINES:,} copies of files; got {assignment.files_of.size}: draw a matrix"
        )
    placement = _as_recorded(assignment, byzantine)
    figure = placement_figure(placement, "placement", style=style)
    figure = replace(figure, about=figure.title, title=figure.text, size=_size(placement, style, ON_A_PAGE))
    content = one_file(figure, Path(path).suffix[1:])
    try:
        with atomic_write(Path(path)) as file:
            file.write(content)
    except StorageError as error:
        raise ParameterError(f"the figure {error}") from error


def _as_recorded(assignment: "Assignment", byzantine: Sequence[int]) -> Placement:
    held = np.bincount(assignment.files_of[list(byzantine)].ravel(), minlength=assignment.num_files)
    return Placement(
        scheme=assignment.scheme,
        num_files=assignment.num_files,
        files_of=tuple(map(tuple, assignment.files_of.tolist())),
        byzantine=tuple(byzantine),
        corrupted=tuple(np.flatnonzero(held >= assignment.threshold).tolist()),
        changes=False,
    )


def _kinds(placement: Placement) -> list[tuple[list[Cell], str, str]]:
    """Copies, as worker and file, their color and what they are; in the order in which they are drawn."""
    byzantine, corrupted = set(placement.byzantine), set(placement.corrupted)
    honest: list[Cell] = []
    outvoted: list[Cell] = []
    bad: list[Cell] = []
    for worker, files in enumerate(placement.files_of):
        for file in files:
            (bad if worker in byzantine else outvoted if file in corrupted else honest).append((worker, file))
    return [
        (honest, SERIES[0], "an honest worker's copy"),
        (outvoted, WARN, "honest, but outvoted"),
        (bad, BAD, "a Byzantine worker's copy"),
    ]


def _draw_matrix(placement: Placement, kinds: Sequence[tuple[list[Cell], str]], axes: "Axes") -> None:
    shape = (placement.num_workers, placement.num_files)
    for file in placement.corrupted:
        axes.axvspan(file - 0.5, file + 0.5, color=BAD, alpha=SHADE, linewidth=0)
    for cells, color in kinds:
        draw_cells(axes, cells, shape, color=color, crossed=color == BAD)
    rows, columns = ([str(number) for number in range(count)] for count in shape)
    frame_cells(axes, rows, columns, marked=set(placement.byzantine), marked_columns=set(placement.corrupted))
    axes.set_xlabel("file")
    axes.set_ylabel("worker")


def _size(placement: Placement, style: Style, most: tuple[float, float]) -> tuple[float, float]:
    """Width and height in inches in which the picture is legible, up to the most that there are."""
    workers, files = placement.num_workers, placement.num_files
    if style == "graph":
        return min(5.0, most[0]), float(np.clip(0.2 * max(workers, files), 3, most[1]))
    width = float(np.clip(0.2 * files + 1, IN_A_REPORT[0], most[0]))
    return width, float(np.clip(0.5 + np.clip((width - 0.6) / files, LEAST_ROW, MOST_ROW) * workers, 1.2, most[1]))


def _in_words(placement: Placement) -> str:
    """The picture in words, for who cannot see it."""
    load = len(placement.files_of[0])
    copies = placement.num_workers * load // placement.num_files
    sizes = f"{placement.num_workers} workers, {placement.num_files} files, {load} a worker, {copies} workers a file"
    if not placement.byzantine:
        return f"{sizes}; no worker is Byzantine"
    return f"{sizes}; Byzantine workers: {_listed(placement.byzantine)}; files that they corrupt: {_listed(placement.corrupted)}"


def _listed(numbers: Collection[int]) -> str:
    shown = ", ".join(map(str, list(numbers)[:MOST_NAMED])) or "none"
    return shown if len(numbers) <= MOST_NAMED else f"{shown}, ..."
