"""The report on runs: its sections, and its files in every format."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from byzshield.errors import ParameterError, StorageError
from byzshield.plots.blame import accused_rows, blame, ending
from byzshield.plots.comparisons import Comparison, comparisons
from byzshield.plots.costs import costs
from byzshield.plots.curves import curves
from byzshield.plots.document import Figure, Folded, Heading, Key, Part, Section, Table, figures_of
from byzshield.plots.groups import Group
from byzshield.plots.incidence import placement_figure
from byzshield.plots.markup import as_latex, as_markdown
from byzshield.plots.measurements import group_table
from byzshield.plots.records import Placement, read_agreement, read_placement
from byzshield.plots.runs import COMPLETE, Run
from byzshield.plots.settings import configuration, environment
from byzshield.plots.tables import decision_rows, table_rows, unfinished_rows
from byzshield.plots.theme import BAD, WARN
from byzshield.plots.votes import agreement_figure
from byzshield.plots.words import summary
from byzshield.storage import atomic_write, named_errors

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["FORMATS", "PICTURES", "sections_of", "write_figures", "write_report"]

PICTURES: Final = ("svg", "png", "pdf")
FORMATS: Final = ("html", "md", "latex", "csv", *PICTURES)
FEW: Final = 2  # runs whose workers are not folded away
MOST_DRAWN: Final = 12  # runs whose workers are drawn
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
        Section(
            title="Not complete", parts=[Table(name="runs that are not complete", rows=unfinished)] if len(unfinished) > 1 else []
        ),
        Section(title="Curves", parts=list(_curves(compared))),
        Section(title="Votes", parts=list(_votes(groups, runs))),
        Section(title="Workers", parts=list(_workers(groups, runs))),
        Section(title="Time and bytes", parts=costs(groups)),
        Section(title="Configuration", parts=configuration(runs)),
        Section(title="Environment", parts=environment(runs)),
    ]
    return [section for section in sections if section.parts]


def _content(groups: Sequence[Group], kind: str, drawing: Drawing) -> bytes:
    if kind == "csv":
        return group_table(groups).encode()
    if kind == "latex":
        return f"{as_latex(Table(name='runs', rows=table_rows(groups)))}\n".encode()
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


def _votes(groups: Sequence[Group], runs: Sequence[Run]) -> Iterator[Part]:
    if any(run.lines for run in runs):
        yield Table(
            name="what the votes decided", rows=decision_rows([group for group in groups if any(run.lines for run in group.runs)])
        )
    for number, run in enumerate(runs[:MOST_DRAWN]):
        measured = [(words, color, run.series(key)) for key, words, color in (
            ("corrupted_files", "corrupted", BAD), ("undecided_files", "undecided", WARN),
        )]  # fmt: skip
        changing = [entry for entry in measured if len({value for _, value in entry[2]}) > 1]
        if changing:
            keys = tuple(Key(label=words, color=color) for words, color, _ in changing)
            said = "; ".join(
                f"{words} from {min(v for _, v in found):g} to {max(v for _, v in found):g}" for words, _, found in changing
            )
            yield Figure(
                name=f"votes-{number + 1}", title=f"{run.name}: files by step", text=f"{run.name}, files in a step: {said}",
                draw=partial(_draw_votes, changing), keys=keys, size=(4.8, 2.0),
            )  # fmt: skip


def _draw_votes(found: Sequence[tuple[str, str, list[tuple[int, float]]]], axes: "Axes") -> None:
    for _, color, points in found:
        axes.step([step for step, _ in points], [value for _, value in points], where="mid", color=color, linewidth=1.4)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("step")
    axes.set_ylabel("files")


def _workers(groups: Sequence[Group], runs: Sequence[Run]) -> Iterator[Part]:
    """Who did what: of many runs a table, and each run folded away; of very many, one of each group is drawn."""
    drawn = runs if len(runs) <= MOST_DRAWN else [(group.complete or group.runs)[0] for group in groups][:MOST_DRAWN]
    seen: dict[Placement, str] = {}
    folded: list[Part] = []
    if len(runs) > FEW and any("blamed" in run.facts for run in runs):
        yield Table(name="workers that anything is held against", rows=accused_rows(runs))
    for number, run in enumerate(runs, start=1):
        parts: list[Part] = [ending(run.facts)] if ending(run.facts) else []
        parts += blame(run.name, run.facts) if "blamed" in run.facts else []
        if any(run is other for other in drawn):
            parts += _drawn(run, number, seen)
        if parts and len(runs) <= FEW:
            yield from [Heading(text=run.name), *parts]
        elif parts:
            folded.append(Folded(title=_title(run), parts=parts))
    if len(drawn) == len(runs):
        yield from folded
    else:
        yield Folded(title="run by run", parts=folded)
        yield f"Votes and placements are drawn of {len(drawn)} runs; a report of a run alone has them for any."


def _drawn(run: Run, number: int, seen: dict[Placement, str]) -> Iterator[Part]:
    placement = read_placement(run)
    if placement is None:
        return
    agreement = read_agreement(run, placement.num_workers)
    if agreement is not None:
        yield agreement_figure(agreement, placement, f"agreement-{number}", about=run.name)
    if placement in seen:
        yield f"Placement and Byzantine workers are those of {seen[placement]}."
        return
    seen[placement] = run.name
    yield placement_figure(placement, f"placement-{number}", about=run.name)
    if placement.changes:
        yield "Workers change their places at each step; shown is the first."
    every = run.config.get("attack.redraw_every")
    if run.config.get("attack.selection") == "random" and every:
        words = "at every step" if every == 1 else f"every {every} steps"
        yield f"Byzantine workers are drawn anew {words}; shown are those of the first."


def _title(run: Run) -> str:
    return run.name if run.status == COMPLETE else f"{run.name} ({run.status})"
