"""Figures as SVG, PNG and PDF; matplotlib is imported only here and where axes are drawn on."""

import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from byzshield.plots.document import Figure, wrapped
from byzshield.plots.theme import GRID, INK, MUTED, adaptive

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

__all__ = ["all_in_one", "inline_svg", "one_file"]

STYLE: Final[dict[str, Any]] = {
    "font.size": 9,
    "font.family": "DejaVu Sans",
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "svg.hashsalt": "byzshield",
}
DOTS_AN_INCH: Final = 200
TITLE_POINTS: Final = 9
CHARACTERS: Final = 12.5  # of a title, in an inch
COLUMNS: Final = 2  # of figures in one picture
METADATA: Final = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {}}  # the same runs make the same file


def inline_svg(figure: Figure) -> str:
    """A figure as a part of an HTML page, in whose colors and font it is, without a legend."""
    with _style({"svg.fonttype": "none"}):
        canvas = _canvas(figure, legend=False, clear=True)
        text = io.StringIO()
        canvas.savefig(text, format="svg", transparent=True, metadata={"Date": None})
    svg = "<svg" + text.getvalue().partition("<svg")[2].partition("</svg>")[0] + "</svg>"
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r'font: ([\d.]+)px [^;"]*', r"font-size: \1px", svg)  # the font is the page's
    used = set(re.findall(r'(?:url\(#|href="#)([^)"]+)', svg))
    svg = re.sub(r' id="([^"]+)"', lambda match: f' id="{figure.name}-{match[1]}"' if match[1] in used else "", svg)
    svg = re.sub(r'(url\(#|href="#)([^)"]+)', rf"\g<1>{figure.name}-\2", svg)
    return adaptive(re.sub(r' (?:width|height)="[\d.]+pt"', "", svg, count=2))


def one_file(figure: Figure, kind: str) -> bytes:
    """A figure as a file of its own, with its legend.

    Args:
        figure: what to draw.
        kind: "svg", "png" or "pdf".
    """
    with _style():
        return _saved(_canvas(figure, legend=True), kind)


def all_in_one(figures: Sequence[Figure], kind: str) -> bytes:
    """Figures as one file: as pages of a PDF, else side by side."""
    with _style():
        return _pages(figures) if kind == "pdf" else _saved(_sheet(figures), kind)


def _pages(figures: Sequence[Figure]) -> bytes:
    from matplotlib.backends.backend_pdf import PdfPages

    content = io.BytesIO()
    with PdfPages(content, metadata={"CreationDate": None}) as pages:
        for figure in figures:
            pages.savefig(_canvas(figure, legend=True))
    return content.getvalue()


def _sheet(figures: Sequence[Figure]) -> "Canvas":
    from matplotlib.figure import Figure as Canvas

    if len(figures) == 1:
        return _canvas(figures[0], legend=True)
    rows = [figures[begin : begin + COLUMNS] for begin in range(0, len(figures), COLUMNS)]
    heights = [max(_height(figure) for figure in row) for row in rows]
    sheet = Canvas(figsize=(COLUMNS * 5.2, sum(heights)), layout="constrained")
    parts = sheet.subfigures(len(rows), COLUMNS, squeeze=False, height_ratios=heights)
    for row, places in zip(rows, parts, strict=True):
        for figure, place in zip(row, places, strict=False):
            _fill(place, figure, legend=True)
    return sheet


def _canvas(figure: Figure, *, legend: bool, clear: bool = False) -> "Canvas":
    from matplotlib.figure import Figure as Canvas

    height = figure.size[1] if clear else _height(figure)
    canvas = Canvas(figsize=(figure.size[0], height), layout="constrained")
    _fill(canvas, figure, legend=legend)
    return canvas


def _fill(canvas: Any, figure: Figure, *, legend: bool) -> None:
    axes = canvas.subplots()
    figure.draw(axes)
    if not legend:
        return
    canvas.suptitle("\n".join(_title(figure)), fontsize=TITLE_POINTS)
    if figure.keys:
        canvas.legend(handles=list(_handles(figure)), loc="outside lower center", fontsize=8, ncols=1 if _long(figure) else 3)


def _height(figure: Figure) -> float:
    """With title and legend."""
    lines = len(figure.keys) if _long(figure) else -(-len(figure.keys) // 3)
    return figure.size[1] + 0.25 + 0.18 * lines + 0.15 * len(_title(figure))


def _title(figure: Figure) -> list[str]:
    """Its lines: of what the figure is, and what it shows."""
    longest = int(CHARACTERS * figure.size[0])
    return [line for text in (figure.about, figure.title) for line in wrapped(text, longest)]


def _long(figure: Figure) -> bool:
    return any(len(key.label) > 22 for key in figure.keys)


def _handles(figure: Figure) -> Iterator[Any]:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    for key in figure.keys:
        if key.area:
            yield Patch(facecolor=key.color, label=key.label)
        else:
            yield Line2D([], [], color=key.color, linestyle=(0, key.dashes) if key.dashes else "-", label=key.label)


def _saved(canvas: "Canvas", kind: str) -> bytes:
    content = io.BytesIO()
    canvas.savefig(content, format=kind, dpi=DOTS_AN_INCH, metadata=METADATA[kind])
    return content.getvalue()


@contextmanager
def _style(more: dict[str, Any] | None = None) -> Iterator[None]:
    import matplotlib

    settings: Any = {**STYLE, **(more or {})}
    with matplotlib.rc_context(settings):
        yield
