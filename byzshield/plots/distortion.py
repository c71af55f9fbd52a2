"""The figure of worst-case corruption: epsilon against q, one curve a scheme."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from byzshield.errors import ParameterError, StorageError
from byzshield.extras import require
from byzshield.storage import atomic_write

__all__ = ["check_figure_path", "draw_epsilon"]

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


def draw_epsilon(curves: Mapping[str, Sequence[tuple[int, float]]], path: str, *, title: str) -> None:
    """Writes the figure to a file, without a display.

    Args:
        curves: for each scheme its points (q, epsilon).
        path: where to write; the suffix (.pdf, .png or .svg) says in which format.
        title: the line above the figure.

    Raises:
        ParameterError: the suffix is another one, or the file cannot be written.
    """
    check_figure_path(path)
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for place, (scheme, points) in enumerate(curves.items()):
        numbers, fractions = zip(*points, strict=True)
        # Curves of different schemes can coincide; smaller markers on top leave the lower ones visible.
        size = max(4, 10 - 2 * place)
        axes.plot(numbers, fractions, marker=MARKERS[place % len(MARKERS)], markersize=size, label=scheme, alpha=0.85)
    axes.axhline(0.5, color="gray", linestyle=":", linewidth=1)
    axes.set(xlabel="Byzantine workers q", ylabel="corrupted files, epsilon = c_max / f", title=title)
    axes.set_ylim(bottom=0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    axes.legend()
    try:
        with atomic_write(Path(path)) as file:
            figure.savefig(file, format=Path(path).suffix[1:])
    except StorageError as error:
        raise ParameterError(f"the figure {error}") from error
