"""What runs came to by the settings in which they differ: a table, and a figure if one of them is a number."""

from collections.abc import Iterator, Sequence
from typing import Final

from byzshield.plots.crossed_figures import crossed_figures
from byzshield.plots.crossing import Crossing, crossings
from byzshield.plots.document import NONE, Heading, Part, Table
from byzshield.plots.groups import Group, in_words
from byzshield.plots.tables import Measure

__all__ = ["crossed", "crossed_tables"]

MOST_COLUMNS: Final = 12
NOTE: Final = "At the end of training: the mean over the seeds, and the standard deviation of the sample."


def crossed(groups: Sequence[Group]) -> list[Part]:
    """The tables and the figures; nothing where runs differ in too little, or in too much to have been meant for comparison."""
    parts: list[Part] = []
    several = list(crossings(groups))
    for number, crossing in enumerate(several, start=1):
        name = f"by-setting-{number}" if len(several) > 1 else "by-setting"
        found: list[Part] = [*_table(crossing), *crossed_figures(crossing, name)]
        parts += [Heading(text=crossing.title), *found] if found and len(several) > 1 else found
    return [NOTE, *parts] if parts else []


def crossed_tables(groups: Sequence[Group]) -> list[Table]:
    """The tables alone."""
    return [table for crossing in crossings(groups) for table in _table(crossing)]


def _table(crossing: Crossing) -> Iterator[Table]:
    if len(crossing.rows) < 2 or not 2 <= len(crossing.columns) <= MOST_COLUMNS:
        return
    head = (crossing.measure.name, *(in_words(crossing.name, value) for value in crossing.columns))
    body = [(label, *(_cell(group, crossing.measure) for _, group in crossing.of(row))) for label, row in crossing.rows.items()]
    yield Table(name=f"{crossing.measure.name} by setting", rows=[head, *body])


def _cell(group: Group | None, measure: Measure) -> str:
    """What it came to; without that, how it stands."""
    if group is None:
        return NONE
    return measure.words(group) if group.complete else group.runs[0].status
