"""The tables of a report, as rows of text: groups with mean and standard deviation, and runs that did not end as they should."""

from collections.abc import Callable, Sequence
from typing import Any, Final

from byzshield.plots.groups import Group
from byzshield.plots.runs import COMPLETE, Run

__all__ = ["Row", "table_rows", "unfinished_rows"]

Row = tuple[str, ...]
NONE: Final = "-"


def table_rows(groups: Sequence[Group]) -> list[Row]:
    """The table of a report: a row of headings, then one for each group.

    Seeds and status are columns only where a group has several runs, and where some run is not complete.
    """
    columns: dict[str, Callable[[Group], str]] = {
        "run": lambda group: group.label,
        "scheme": lambda group: _fact(group, "scheme"),
        "attack": lambda group: _fact(group, "attack"),
        "rule": lambda group: _fact(group, "aggregator"),
        "Byzantine": _byzantine,
        "corrupted files": _corrupted,
        "test accuracy": _accuracy,
        "s a step": lambda group: _mean(group, lambda run: run.step_seconds, "{:.2f}"),
        "MB received a step": lambda group: _mean(group, lambda run: run.bytes_received, "{:.1f}", unit=1e6),
    }
    if any(len(group.runs) > 1 for group in groups):
        columns["seeds"] = lambda group: str(len(group.complete))
    if any(len(group.complete) < len(group.runs) for group in groups):
        columns["status"] = _status
    return [tuple(columns), *(tuple(cell(group) for cell in columns.values()) for group in groups)]


def unfinished_rows(runs: Sequence[Run]) -> list[Row]:
    """A row of headings, then one for each run that is not complete."""
    others = [run for run in runs if run.status != COMPLETE]
    return [("run", "status", "reason"), *((run.name, run.status, run.reason or NONE) for run in others)]


def _fact(group: Group, key: str) -> str:
    value = next((run.facts[key] for run in group.runs if run.facts.get(key) is not None), None)
    return NONE if value is None else str(value)


def _byzantine(group: Group) -> str:
    known = [_fact(group, key) for key in ("num_byzantine", "num_workers")]
    return NONE if NONE in known else " of ".join(known)


def _corrupted(group: Group) -> str:
    corrupted = max((run.corrupted_files for run in group.runs if run.corrupted_files is not None), default=None)
    num_files = next((run.facts["num_files"] for run in group.runs if run.facts.get("num_files")), None)
    if corrupted is None or num_files is None:
        return NONE if corrupted is None else str(corrupted)
    return f"{corrupted} of {num_files} ({corrupted / num_files:.0%})"


def _accuracy(group: Group) -> str:
    spread = group.spread(lambda run: run.final_accuracy)
    if spread is None:
        return NONE
    return f"{spread.mean:.1%}" + ("" if spread.std is None else f" ± {100 * spread.std:.1f}")


def _mean(group: Group, value: Callable[[Run], Any], form: str, *, unit: float = 1.0) -> str:
    spread = group.spread(value)
    return NONE if spread is None else form.format(spread.mean / unit)


def _status(group: Group) -> str:
    statuses = [run.status for run in group.runs]
    if set(statuses) == {statuses[0]}:
        return statuses[0]
    return ", ".join(f"{statuses.count(status)} {status}" for status in dict.fromkeys(statuses))
