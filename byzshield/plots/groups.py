"""Runs that differ in nothing but the seed, taken together."""

import json
import re
import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, Final

from byzshield.plots.runs import COMPLETE, Run

__all__ = ["Group", "Spread", "group_runs", "in_words", "settings_apart", "varying"]

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

    A group is called by its sweep's entries, or by what the names of its runs begin with, or, where that is what others are
    called, too, by what tells it from them.
    """
    members: dict[str, list[Run]] = {}
    seen: Counter[str] = Counter()
    for run in runs:
        alone = run.name if not run.settings else ""
        key = json.dumps([run.sweep, alone, settings_apart(run)], sort_keys=True, default=str)
        repetition = f"{run.seed} {key}"
        seen[repetition] += 1
        members.setdefault(f"{seen[repetition]} {key}", []).append(run)
    firsts = [group[0] for group in members.values()]
    apart = varying(firsts)
    stems = Counter(_stem(group) for group in members.values() if group[0].sweep is None)
    several = len({run.sweep for run in runs if run.sweep}) > 1
    return [
        Group(
            words=(stem,) if stems[stem := _stem(group)] == 1 and stem else _words(group, firsts, apart),
            sweep=group[0].sweep or "" if several else "",
            runs=tuple(group),
        )
        for group in members.values()
    ]


def varying(runs: Sequence[Run]) -> list[str]:
    """The settings in which some of `runs` differ."""
    keys = dict.fromkeys(key for run in runs for key in settings_apart(run))
    return [key for key in keys if len({json.dumps(run.settings.get(key), default=str) for run in runs}) > 1]


def _stem(group: Sequence[Run]) -> str:
    """What the names of runs that are no cells of a sweep begin with; of "mols-1" and "mols-2" it is "mols"."""
    names = [run.name for run in group if run.sweep is None]
    if len(names) < 2:
        return "".join(names)
    common = "".join(letters[0] for letters in takewhile(lambda letters: len(set(letters)) == 1, zip(*names, strict=False)))
    return re.sub(r"([-_. ]+(seed|s)?)?[-_. ]*\d*$", "", common)


def _words(group: Sequence[Run], others: Sequence[Run], varying: Sequence[str]) -> tuple[str, ...]:
    """What tells a group from the first runs of the others: of a sweep's cells all that varies, else as few settings as do it."""
    run = group[0]
    keys = [key for key in varying if key in run.settings]
    if run.sweep is None:
        keys = _telling(run, others, keys)
    return tuple(in_words(key, run.settings[key]) for key in keys) or (run.sweep or run.name,)


def _telling(run: Run, others: Sequence[Run], keys: Sequence[str]) -> list[str]:
    """Those of `keys` that tell the run from the others, chosen one by one, each for the most others that are left."""
    chosen: list[str] = []
    left = [other for other in others if other is not run]
    while left:
        apart = {key: [other for other in left if other.settings.get(key) != run.settings[key]] for key in keys}
        best = max(apart, key=lambda key: len(apart[key]), default=None)
        if best is None or not apart[best]:
            break
        chosen.append(best)
        left = [other for other in left if other.settings.get(best) == run.settings[best]]
    return [key for key in keys if key in chosen]


def in_words(key: str, value: Any) -> str:
    """A setting, for example "scheme = mols" or "attack = alie"; of a sweep's named entries the name alone."""
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return f"{key.removesuffix('.name').rpartition('.')[2]} = {text}" if "." in key else text
