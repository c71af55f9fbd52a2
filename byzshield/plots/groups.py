"""Runs that differ in nothing but the seed, taken together."""

import json
import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from byzshield.plots.runs import COMPLETE, Run

__all__ = ["Group", "Spread", "group_runs", "settings_apart"]

# What a result does not depend on, beside the seed that is grouped over.
FREE: Final = frozenset(
    [
        "run.seed",
        "run.name",
        "run.output_dir",
        "run.module_dir",
        "run.eval_every",
        "run.checkpoint_every",
        "data.root",
        "metrics.log_every",
        "metrics.csv",
        "metrics.tensorboard",
        "metrics.prometheus",
    ]
)


@dataclass(frozen=True, kw_only=True)
class Spread:
    """A number over several seeds.

    Args:
        mean: of all.
        std: the standard deviation of the sample (n - 1); None of a single one.
        least: the smallest.
        most: the largest.
        count: how many there are.
    """

    mean: float
    std: float | None
    least: float
    most: float
    count: int

    @classmethod
    def of(cls, values: Iterable[float | None]) -> "Spread | None":
        """The spread of those that are there; None if none is."""
        numbers = [value for value in values if value is not None]
        if not numbers:
            return None
        std = statistics.stdev(numbers) if len(numbers) > 1 else None
        return cls(mean=statistics.fmean(numbers), std=std, least=min(numbers), most=max(numbers), count=len(numbers))


@dataclass(frozen=True, kw_only=True)
class Group:
    """Runs of the same settings.

    Args:
        words: what tells it from the other groups; of a sweep's cells, one a varying axis.
        sweep: the sweep's name, if there are several sweeps.
        runs: one a seed.
    """

    words: tuple[str, ...]
    sweep: str = ""
    runs: tuple[Run, ...]

    @property
    def label(self) -> str:
        """What to call it."""
        return ", ".join(filter(None, (self.sweep, *self.words)))

    @property
    def settings(self) -> dict[str, Any]:
        """What its runs share."""
        return settings_apart(self.runs[0])

    @property
    def complete(self) -> tuple[Run, ...]:
        """Those that ended as they should."""
        return tuple(run for run in self.runs if run.status == COMPLETE)

    def spread(self, value: Callable[[Run], float | None]) -> Spread | None:
        """A number of its complete runs."""
        return Spread.of(map(value, self.complete))

    def curve(self) -> list[tuple[int, Spread]]:
        """(step, test accuracy) at those steps that all complete runs have evaluated."""
        curves = [dict(run.accuracy) for run in self.complete]
        steps = sorted(set.intersection(*map(set, curves))) if curves else []
        spreads = ((step, Spread.of(curve[step] for curve in curves)) for step in steps)
        return [(step, spread) for step, spread in spreads if spread is not None]


def settings_apart(run: Run) -> dict[str, Any]:
    """The settings of a run that others of its group share."""
    return {key: value for key, value in run.settings.items() if key not in FREE}


def group_runs(runs: Sequence[Run]) -> list[Group]:
    """Groups runs by all settings but the seed, in the order of their first runs; a run that was repeated is no second seed.

    A group is called by its sweep's entries, or by its run's name, or, if it has several runs, by what tells it from the others.
    """
    members: dict[str, list[Run]] = {}
    seen: Counter[str] = Counter()
    for run in runs:
        alone = run.name if not run.settings else ""
        key = json.dumps([run.sweep, alone, settings_apart(run)], sort_keys=True, default=str)
        repetition = f"{run.seed} {key}"
        seen[repetition] += 1
        members.setdefault(f"{seen[repetition]} {key}", []).append(run)
    varying = _varying([group[0] for group in members.values()])
    several = len({run.sweep for run in runs if run.sweep}) > 1
    return [
        Group(words=_words(group, varying), sweep=group[0].sweep or "" if several else "", runs=tuple(group))
        for group in members.values()
    ]


def _varying(runs: Sequence[Run]) -> list[str]:
    """The settings in which some of `runs` differ."""
    keys = dict.fromkeys(key for run in runs for key in settings_apart(run))
    return [key for key in keys if len({json.dumps(run.settings.get(key), default=str) for run in runs}) > 1]


def _words(group: Sequence[Run], varying: Sequence[str]) -> tuple[str, ...]:
    run = group[0]
    if run.sweep is None and len(group) == 1:
        return (run.name,)
    return tuple(_word(key, run.settings[key]) for key in varying if key in run.settings) or (run.sweep or run.name,)


def _word(key: str, value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return f"{key.rpartition('.')[2]} = {text}" if "." in key else text
