"""The picture of a placement: a row a worker, a column a file, with the colluders and what they capture."""

from functools import partial
from typing import TYPE_CHECKING

from byzshield.plots.cells import draw_cells, frame_cells
from byzshield.plots.document import Figure, Key
from byzshield.plots.records import Placement
from byzshield.plots.theme import BAD, MUTED, SERIES, WARN

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["placement_figure"]


def placement_figure(placement: Placement, name: str, *, about: str = "") -> Figure:
    """Draws who holds which file.

    Args:
        placement: of a run.
        name: of the figure.
        about: which run's.
    """
    captured = (
        f"capture {len(placement.corrupted)} of {placement.num_files} files (shaded)" if placement.byzantine else "there is none"
    )
    keys = [Key(label="an honest worker's copy", color=SERIES[0], area=True)]
    if placement.byzantine:
        keys.append(Key(label="a Byzantine worker's copy", color=BAD, area=True))
    outvoted = [file for worker, files in enumerate(placement.files_of) if worker not in placement.byzantine for file in files]
    if not set(outvoted).isdisjoint(placement.corrupted):
        keys.append(Key(label="honest, but outvoted", color=WARN, area=True))
    return Figure(
        name=name,
        title=f"{placement.scheme}: Byzantine workers {captured}"
        if placement.byzantine
        else f"{placement.scheme}: who holds which file",
        about=about,
        text=_in_words(placement),
        draw=partial(_draw, placement),
        keys=tuple(keys),
        size=_size(placement),
    )


def _in_words(placement: Placement) -> str:
    words = (
        f"{placement.num_workers} workers in rows, {placement.num_files} files in columns; each worker holds "
        f"{len(placement.files_of[0])} files"
    )
    if not placement.byzantine:
        return f"{words}; no worker is Byzantine"
    byzantine = ", ".join(map(str, placement.byzantine))
    corrupted = ", ".join(map(str, placement.corrupted)) or "none"
    return f"{words}; Byzantine workers: {byzantine}; files of which they hold a majority: {corrupted}"


def _size(placement: Placement) -> tuple[float, float]:
    width = 4.8
    return width, min(4.4, max(1.2, 0.5 + (width - 0.6) * placement.num_workers / placement.num_files))


def _draw(placement: Placement, axes: "Axes") -> None:
    shape = (placement.num_workers, placement.num_files)
    byzantine, corrupted = set(placement.byzantine), set(placement.corrupted)
    held = [(worker, file) for worker, files in enumerate(placement.files_of) for file in files]
    for file in corrupted:
        axes.axvspan(file - 0.5, file + 0.5, color=MUTED, alpha=0.18, linewidth=0)
    honest = [cell for cell in held if cell[0] not in byzantine]
    draw_cells(axes, [cell for cell in honest if cell[1] not in corrupted], shape, color=SERIES[0])
    draw_cells(axes, [cell for cell in honest if cell[1] in corrupted], shape, color=WARN)
    draw_cells(axes, [cell for cell in held if cell[0] in byzantine], shape, color=BAD)
    frame_cells(axes, *([str(number) for number in range(count)] for count in shape), marked=byzantine)
    axes.set_xlabel("file")
    axes.set_ylabel("worker")
