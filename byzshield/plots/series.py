"""What a measure of a group's runs came to, step by step: the mean over the seeds, and how far they spread."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

from byzshield.plots.groups import Group, Spread
from byzshield.plots.runs import Run

__all__ = ["Series", "series"]

MOST_POINTS: Final = 150


@dataclass(frozen=True, kw_only=True)
class Series:
    """Points of a curve.

    Args:
        steps: where they are.
        seconds: when, since training began and evaluations apart; the mean over the runs. Empty where nobody took the time.
        mean: over the runs.
        low: the mean less the standard deviation of the sample; the mean itself of a single run. Where that would be below 0 and
            no run is, it is the least of the runs: no loss is negative, and on a logarithmic scale the band would have no end.
        high: the mean and the standard deviation.
    """

    steps: tuple[int, ...]
    seconds: tuple[float, ...]
    mean: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


def series(group: Group, measure: str) -> Series | None:
    """The curve of a measure, over the complete runs of a group, or else over all; None if they have no step in common.

    Args:
        group: runs of the same settings.
        measure: a key of metrics.jsonl.
    """
    curves = [dict(run.series(measure)) for run in group.complete or group.runs]
    curves = [curve for curve in curves if curve]
    steps = sorted(set.intersection(*map(set, curves))) if curves else []
    if not steps:
        return None
    spreads = [Spread.of(curve[step] for curve in curves) for step in steps]
    found = [spread for spread in spreads if spread is not None]
    clocks = [_clock(run) for run in group.complete or group.runs]
    timed = [clock for clock in clocks if steps[-1] in clock and steps[0] in clock]
    seconds = [sum(clock.get(step, 0.0) for clock in timed) / len(timed) for step in steps] if timed else []
    return _thin(
        Series(
            steps=tuple(steps),
            seconds=tuple(seconds),
            mean=tuple(spread.mean for spread in found),
            low=tuple(_low(spread) for spread in found),
            high=tuple(spread.mean + (spread.std or 0.0) for spread in found),
        )
    )


def _low(spread: Spread) -> float:
    low = spread.mean - (spread.std or 0.0)
    return spread.least if low <= 0 < spread.least else low


def _clock(run: Run) -> dict[int, float]:
    """Seconds until the end of each step."""
    taken = run.series("seconds")
    return dict(zip((step for step, _ in taken), accumulate(seconds for _, seconds in taken), strict=True))


def _thin(found: Series) -> Series:
    """At most MOST_POINTS points: means of neighbors, at the last of them."""
    width = -(-len(found.steps) // MOST_POINTS)
    if width == 1:
        return found
    return Series(
        steps=found.steps[width - 1 :: width],
        seconds=found.seconds[width - 1 :: width],
        mean=_means(found.mean, width),
        low=_means(found.low, width),
        high=_means(found.high, width),
    )


def _means(values: Sequence[float], width: int) -> tuple[float, ...]:
    whole = len(values) // width * width
    return tuple(sum(values[begin : begin + width]) / width for begin in range(0, whole, width))
