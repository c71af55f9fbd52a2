"""The tables of a report, as rows of text: groups with mean and standard deviation, and runs that did not end as they should."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from byzshield.plots.document import NONE, Row
from byzshield.plots.groups import Group, Spread
from byzshield.plots.runs import COMPLETE, Run

__all__ = ["Measure", "corrupted", "fact", "measure_of", "table_rows", "unfinished_rows"]

Count = Callable[[Run], float | None]
MOST_SEEDS: Final = 4  # that are listed


@dataclass(frozen=True, kw_only=True)
class Measure:
    """What runs are compared by.

    Args:
        name: of it.
        value: that of a run; None before its end.
        share: whether it is one, to be said in percent.
    """

    name: str
    value: Count
    share: bool

    def words(self, group: Group) -> str:
        """Mean and standard deviation over the complete runs."""
        spread = group.spread(self.value)
        if spread is None:
            return NONE
        if self.share:
            return f"{spread.mean:.1%}" + ("" if spread.std is None else f" ± {100 * spread.std:.1f}")
        return f"{spread.mean:.4g}" + ("" if spread.std is None else f" ± {spread.std:.2g}")


ACCURACY: Final = Measure(name="test accuracy", value=lambda run: run.final_accuracy, share=True)
LOSS: Final = Measure(name="test loss", value=lambda run: run.final_loss, share=False)


def measure_of(groups: Sequence[Group]) -> Measure:
    """Accuracy, unless there is only a loss."""
    measured = [measure for measure in (ACCURACY, LOSS) if any(group.spread(measure.value) for group in groups)]
    return measured[0] if measured else ACCURACY


def table_rows(groups: Sequence[Group], *, reasons: bool = True) -> list[Row]:
    """The table of a report: a row of headings, then one for each group.

    Args:
        groups: the runs.
        reasons: whether to say why runs are not complete. This and their status are columns only where there are such runs.
    """
    measure = measure_of(groups)
    columns: dict[str, Callable[[Group], str]] = {
        "run": lambda group: group.label,
        "scheme": lambda group: fact(group, "scheme"),
        "attack": lambda group: fact(group, "attack"),
        "rule": lambda group: fact(group, "aggregator"),
        "seed": _seeds,
        "Byzantine": _byzantine,
        "corrupted files": corrupted,
        measure.name: measure.words,
        "s a step": lambda group: _mean(group, lambda run: run.step_seconds, _seconds),
        "MB received a step": lambda group: _mean(group, lambda run: run.bytes_received, _megabytes),
    }
    if any(len(group.complete) < len(group.runs) for group in groups):
        columns["status"] = _status
    if reasons and any(run.reason for group in groups for run in group.runs):
        columns["reason"] = lambda group: "; ".join(dict.fromkeys(run.reason for run in group.runs if run.reason)) or NONE
    return [tuple(columns), *(tuple(cell(group) for cell in columns.values()) for group in groups)]


def unfinished_rows(runs: Sequence[Run]) -> list[Row]:
    """A row of headings, then one for each run that is not complete."""
    others = [run for run in runs if run.status != COMPLETE]
    head = ("run", "seed", "status", "step", "reason")
    return [head, *((run.name, _seed(run), run.status, _progress(run), run.reason or NONE) for run in others)]


def fact(group: Group, key: str) -> str:
    """What the first of its runs that knows it says under `key`."""
    value = next((run.facts[key] for run in group.runs if run.facts.get(key) is not None), None)
    return NONE if value is None else str(value)


def _seed(run: Run) -> str:
    return NONE if run.seed is None else str(run.seed)


def _seeds(group: Group) -> str:
    """Of the complete runs, or if there are none, of all."""
    seeds = [_seed(run) for run in group.complete or group.runs]
    if len(seeds) <= MOST_SEEDS:
        return ", ".join(seeds)
    return f"{', '.join(seeds[: MOST_SEEDS - 2])}, ... ({len(seeds)} seeds)"


def _byzantine(group: Group) -> str:
    known = [fact(group, key) for key in ("num_byzantine", "num_workers")]
    return NONE if NONE in known else " of ".join(known)


def corrupted(group: Group) -> str:
    """The most files in any step of its runs, of how many."""
    most = max((run.corrupted_files for run in group.runs if run.corrupted_files is not None), default=None)
    num_files = next((run.facts["num_files"] for run in group.runs if run.facts.get("num_files")), None)
    if most is None or num_files is None:
        return NONE if most is None else str(most)
    return f"{most} of {num_files} ({most / num_files:.0%})"


def _mean(group: Group, value: Count, form: Callable[[float], str]) -> str:
    """Over the complete runs, or if there are none, over all."""
    spread = Spread.of(map(value, group.complete or group.runs))
    return NONE if spread is None else form(spread.mean)


def _seconds(value: float) -> str:
    """Two digits, as 0.045 or 0.10; from 10 on, all."""
    return f"{value:#.2g}" if value < 9.95 else f"{value:.0f}"


def _megabytes(value: float) -> str:
    """One digit behind the point; below 1, two digits."""
    return f"{value / 1e6:.1f}" if value >= 0.95e6 else f"{value / 1e6:#.2g}"


def _status(group: Group) -> str:
    statuses = [run.status for run in group.runs]
    if set(statuses) == {statuses[0]}:
        return statuses[0]
    return ", ".join(f"{statuses.count(status)} {status}" for status in dict.fromkeys(statuses))


def _progress(run: Run) -> str:
    """For example "12 of 40"."""
    steps = run.config.get("run.steps")
    return f"{run.last_step} of {steps}" if steps else str(run.last_step)
