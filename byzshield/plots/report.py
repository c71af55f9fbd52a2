"""The report on runs: tables and the curves of test accuracy, on one HTML page."""

import html
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from byzshield.plots.blame import blame_section
from byzshield.plots.curves import Panel, draw, panels
from byzshield.plots.groups import Group, group_runs
from byzshield.plots.page import table, write_page
from byzshield.plots.runs import Run
from byzshield.plots.tables import table_rows, unfinished_rows

__all__ = ["write_report"]

FEW: Final = 8
NOTE: Final = """\
<p>A file is corrupted when a majority of its copies is in Byzantine hands; shown is the most in any step. Runs that differ in the
seed alone are one row and one curve: the mean, and the standard deviation of the sample, over those that are complete. A curve is
dashed where none is.</p>"""


def write_report(runs: Sequence[Run], path: Path) -> None:
    """Writes the page, which needs no other file.

    Raises:
        ParameterError: it cannot be written there.
    """
    groups = group_runs(runs)
    write_page(path, "byzshield report", [table(table_rows(groups)), _curves(groups), NOTE, _unfinished(runs), _blame(runs)])


def _curves(groups: Sequence[Group]) -> str:
    drawn = [group for group in groups if any(run.accuracy for run in group.runs)]
    return "<div class='panels'>\n" + "\n".join(_figure(panel) for panel in panels(drawn)) + "\n</div>"


def _figure(panel: Panel) -> str:
    """A panel with its title above and its legend below."""
    title = f"<h3>{html.escape(panel.title)}</h3>\n" if panel.title else ""
    legend = "".join(
        f"<li><span style='color:{line.color}'>{line.glyph}</span> {html.escape(line.label)}</li>" for line in panel.lines
    )
    return f"<figure>{title}{draw(panel)}\n<figcaption><ul>{legend}</ul></figcaption></figure>"


def _blame(runs: Sequence[Run]) -> str:
    """Who did what in each run; folded together where there are many."""
    sections = "\n".join(blame_section(run.name, run.facts) for run in runs if "blamed" in run.facts)
    return sections if len(runs) <= FEW else f"<details><summary>Who did what, run by run</summary>\n{sections}</details>"


def _unfinished(runs: Sequence[Run]) -> str:
    rows = unfinished_rows(runs)
    return "<h2>Not complete</h2>\n" + table(rows) if len(rows) > 1 else ""
