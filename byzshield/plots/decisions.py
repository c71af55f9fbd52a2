"""What the votes of runs decided, over all steps and step by step."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from byzshield.plots.document import NONE, Figure, Key, Part, Row, Table
from byzshield.plots.groups import Group
from byzshield.plots.runs import Run
from byzshield.plots.tables import corrupted, fact
from byzshield.plots.theme import BAD, WARN

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["decisions"]

Count = Callable[[Run], float | None]
MOST_DRAWN: Final = 12  # runs


def decisions(groups: Sequence[Group]) -> Iterator[Part]:
    """A table of what was corrupted, undecided, skipped and checked, and a figure of each run in which that changes."""
    runs = [run for group in groups for run in group.runs]
    if any(run.lines for run in runs):
        yield Table(
            name="what the votes decided", rows=_rows([group for group in groups if any(run.lines for run in group.runs)])
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


def _rows(groups: Sequence[Group]) -> list[Row]:
    """What the votes decided: sums over the steps, and means over the runs of a group; what no run has is no column."""
    columns: dict[str, Callable[[Group], str]] = {
        "run": lambda group: group.label,
        "steps": lambda group: _total(group, lambda run: float(run.last_step) or None),
        "files a step": lambda group: fact(group, "num_files"),
        "corrupted, at most": corrupted,
        "corrupted, mean": lambda group: _total(group, _corrupted_mean),
        "undecided": lambda group: _total(group, lambda run: _sum(run, "undecided_files")),
        "steps skipped": lambda group: _total(group, _skipped),
    }
    rare: dict[str, Count] = {
        "not finite": partial(_sum, key="non_finite_files"),
        "audited": partial(_sum, key="audited"),
        "arbitrated": partial(_sum, key="arbitrated"),
        "steps rolled back": lambda run: _count(run.facts.get("rolled_back_steps")),
        "expelled": lambda run: _count(run.facts.get("expelled")),
    }
    columns |= {
        heading: partial(_total, value=count)
        for heading, count in rare.items()
        if any(count(run) for group in groups for run in group.runs)
    }
    return [tuple(columns), *(tuple(cell(group) for cell in columns.values()) for group in groups)]


def _total(group: Group, value: Count) -> str:
    """The mean over all runs of a group that have begun."""
    found = [number for number in map(value, group.runs) if number is not None]
    return f"{round(sum(found) / len(found), 2):.10g}" if found else NONE


def _sum(run: Run, key: str) -> float | None:
    """Over the steps, of a number or of how many are listed."""
    found = [_count(line[key]) for line in run.lines if key in line]
    return sum(found) if found else None


def _corrupted_mean(run: Run) -> float | None:
    found = run.series("corrupted_files")
    return sum(value for _, value in found) / len(found) if found else None


def _skipped(run: Run) -> float | None:
    return float(sum(line.get("applied") is False for line in run.lines)) if run.lines else None


def _count(value: Any) -> float:
    return float(len(value)) if isinstance(value, dict | list) else float(value) if isinstance(value, int | float) else 0.0
