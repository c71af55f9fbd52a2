"""The report on runs: its sections, and its files in every format."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from byzshield.errors import ParameterError, StorageError
from byzshield.plots.comparisons import Comparison, comparisons
from byzshield.plots.costs import costs
from byzshield.plots.crossed import crossed, crossed_tables
from byzshield.plots.curves import curves
from byzshield.plots.decisions import decisions
from byzshield.plots.document import Figure, Heading, Part, Section, Table, figures_of
from byzshield.plots.groups import Group
from byzshield.plots.markup import as_latex, as_markdown
from byzshield.plots.measurements import group_table
from byzshield.plots.settings import configuration, environment
from byzshield.plots.tables import table_rows, unfinished_rows
from byzshield.plots.words import summary
from byzshield.plots.workers import workers
from byzshield.storage import atomic_write, named_errors

__all__ = ["FORMATS", "PICTURES", "sections_of", "write_figures", "write_report"]

PICTURES: Final = ("svg", "png", "pdf")
FORMATS: Final = ("html", "md", "latex", "csv", *PICTURES)
NOTE: Final = (
    "A file is corrupted when a majority of its copies is in Byzantine hands; shown is the most in any step. Runs that differ in "
    "the seed alone are one row and one curve: the mean, and the standard deviation of the sample, over those that are complete."
)
CURVES: Final = (
    "A curve is the mean over seeds, with a band of one standard deviation; it is pale where no run is complete. Time is that of "
    "training alone."
)
Drawing = Callable[[int, int], None]


def write_report(groups: Sequence[Group], path: Path, kind: str, *, drawing: Drawing = lambda done, of: None) -> None:
    """Writes a report.

    Args:
        groups: the runs.
        path: its file; folders that are missing are made.
        kind: one of FORMATS.
        drawing: is told how many figures of how many are drawn.

    Raises:
        ParameterError: it cannot be written there, or is a picture of runs of which there is nothing to draw.
    """
    _write(path, _content(groups, kind, drawing))


def write_figures(groups: Sequence[Group], folder: Path, kind: str, *, drawing: Drawing = lambda done, of: None) -> list[Path]:
    """Writes each figure of a report into a file of its own; returns their paths.

    Args:
        groups: the runs.
        folder: of the files; made if missing.
        kind: one of PICTURES.
        drawing: is told how many figures of how many are drawn.

    Raises:
        ParameterError: they cannot be written there.
    """
    from byzshield.plots.drawing import one_file

    figures = _figures(groups)
    paths = []
    for number, figure in enumerate(figures):
        paths.append(folder / f"{figure.name}.{kind}")
        _write(paths[-1], one_file(figure, kind))
        drawing(number + 1, len(figures))
    return paths


def sections_of(groups: Sequence[Group]) -> list[Section]:
    """The report, in no format."""
    runs = [run for group in groups for run in group.runs]
    compared = comparisons([group for group in groups if any(run.lines for run in group.runs)])
    unfinished = unfinished_rows(runs)
    sections = [
        Section(title="Summary", parts=summary(groups, compared)),
        Section(title="Runs", parts=[Table(name="runs", rows=table_rows(groups, reasons=False)), NOTE]),
        Section(title="By setting", parts=crossed(groups)),
        Section(
            title="Not complete", parts=[Table(name="runs that are not complete", rows=unfinished)] if len(unfinished) > 1 else []
        ),
        Section(title="Curves", parts=list(_curves(compared))),
        Section(title="Votes", parts=list(decisions(groups))),
        Section(title="Workers", parts=list(workers(groups))),
        Section(title="Time and bytes", parts=costs(groups)),
        Section(title="Configuration", parts=configuration(runs)),
        Section(title="Environment", parts=environment(runs)),
    ]
    return [section for section in sections if section.parts]


def _content(groups: Sequence[Group], kind: str, drawing: Drawing) -> bytes:
    if kind == "csv":
        return group_table(groups).encode()
    if kind == "latex":
        tables = [Table(name="runs", rows=table_rows(groups)), *crossed_tables(groups)]
        return "\n".join(f"{as_latex(table)}\n" for table in tables).encode()
    if kind == "md":
        return as_markdown(_heading(groups), sections_of(groups)).encode(errors="surrogateescape")
    from byzshield.plots.drawing import all_in_one, inline_svg

    if kind in PICTURES:
        return all_in_one(_figures(groups), kind)
    from byzshield.plots.page import as_html

    sections = sections_of(groups)
    total = len(figures_of([part for section in sections for part in section.parts]))
    drawn = iter(range(1, total + 1))

    def draw(figure: Figure) -> str:
        svg = inline_svg(figure)
        drawing(next(drawn), total)
        return svg

    return as_html(_heading(groups), sections, draw=draw).encode(errors="surrogateescape")


def _heading(groups: Sequence[Group]) -> str:
    runs = [run for group in groups for run in group.runs]
    return f"byzshield report: {runs[0].name if len(runs) == 1 else f'{len(runs)} runs'}"


def _figures(groups: Sequence[Group]) -> list[Figure]:
    figures = figures_of([part for section in sections_of(groups) for part in section.parts])
    if not figures:
        raise ParameterError("there is nothing to draw: no run has done a step")
    return figures


def _write(path: Path, content: bytes) -> None:
    try:
        with named_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_write(path) as file:
                file.write(content)
    except StorageError as error:
        raise ParameterError(f"the report {error}") from error


def _curves(compared: Sequence[Comparison]) -> Iterator[Part]:
    if compared:
        yield CURVES
    for number, comparison in enumerate(compared, start=1):
        figures = list(curves(comparison, f"curves-{number}" if len(compared) > 1 else "curves"))
        if figures:
            yield Heading(text=comparison.title)
            yield from figures
