"""The workers of runs: what is held against them, who voted like whom, and who held which file."""

from collections.abc import Iterator, Sequence
from typing import Final

from byzshield.plots.blame import accused_rows, blame, ending
from byzshield.plots.document import Folded, Heading, Part, Table
from byzshield.plots.groups import Group
from byzshield.plots.placement_figure import placement_figure
from byzshield.plots.records import Placement, read_agreement, read_placement
from byzshield.plots.runs import COMPLETE, Run
from byzshield.plots.votes import agreement_figure

__all__ = ["workers"]

FEW: Final = 2  # runs whose workers are not folded away
MOST_DRAWN: Final = 12  # runs whose workers are drawn


def workers(groups: Sequence[Group]) -> Iterator[Part]:
    """Who did what: of many runs a table, and each run folded away; of very many, one of each group is drawn."""
    runs = [run for group in groups for run in group.runs]
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
