"""What runs cost: where the time of a step goes, and the bytes of the server."""

import statistics
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from byzshield.plots.document import NONE, Figure, Key, Part, Row, Table, wrapped
from byzshield.plots.groups import Group
from byzshield.plots.runs import Run
from byzshield.plots.theme import SERIES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["costs"]

# How parts of a step are called, in the order in which they come; those that a run has not recorded are left out.
WORDS: Final = {
    "gradient": "gradients",
    "digest": "digests",
    "wait": "waiting",
    "fetch": "fetching payloads",
    "decode": "decoding",
    "communication": "votes and payloads",
    "aggregate": "rule",
    "update": "update",
}
MOST_BARS: Final = 24
LONGEST_LINE: Final = 24


def costs(groups: Sequence[Group]) -> list[Part]:
    """A table, and a figure of the time of a step; nothing where no run has taken any time."""
    measured = [(group, _times(group)) for group in groups]
    measured = [(group, parts) for group, parts in measured if parts]
    if not measured:
        return []
    names = [name for name in WORDS if any(name in parts for _, parts in measured)]
    head = ("run", "s a step", *(WORDS[name] for name in names), "MB received", "MB sent", "MB in all")
    rows = [_row(group, parts, names) for group, parts in measured]
    shown = measured[:MOST_BARS]
    labels = ["\n".join(wrapped(group.label, LONGEST_LINE)) for group, _ in shown]  # whole: what is last tells bars apart
    keys = tuple(Key(label=WORDS[name], color=SERIES[index], area=True) for index, name in enumerate(names))
    said = [f"{group.label}: {', '.join(f'{WORDS[name]} {parts[name]:.3g} s' for name in parts)}" for group, parts in shown]
    return [
        Table(name="time and bytes of a step", rows=[head, *rows]),
        Figure(
            name="time",
            title="seconds of a step, median over the steps",
            text=f"Seconds of a step by part. {'; '.join(said)}",
            draw=partial(_draw, [(label, parts) for label, (_, parts) in zip(labels, shown, strict=True)], names),
            keys=keys,
            size=(4.8, 0.75 + sum(0.14 + 0.1 * (1 + label.count("\n")) for label in labels)),
        ),
    ]


def _row(group: Group, parts: Mapping[str, float], names: Sequence[str]) -> Row:
    in_all = _mean(group, lambda run: sum(value for key in ("bytes_received", "bytes_sent") for _, value in run.series(key)))
    return (
        group.label,
        _seconds(_mean(group, lambda run: run.step_seconds)),
        *(_seconds(parts.get(name)) for name in names),
        _megabytes(_mean(group, lambda run: run.bytes_received)),
        _megabytes(_mean(group, lambda run: run.bytes_sent)),
        _megabytes(in_all),
    )


def _times(group: Group) -> dict[str, float]:
    """The median seconds of each part of a step, means over the runs."""
    runs = [parts for parts in map(_times_of_run, group.complete or group.runs) if parts]
    names = dict.fromkeys(name for parts in runs for name in parts)
    return {name: statistics.fmean(parts.get(name, 0.0) for parts in runs) for name in WORDS if name in names}


def _times_of_run(run: Run) -> dict[str, float]:
    steps = [line["breakdown"] for line in run.lines if isinstance(line.get("breakdown"), dict)] or list(
        filter(None, map(_coarse, run.lines))
    )
    values = {name: [_known(step.get(name)) for step in steps if name in step] for name in WORDS}
    return {name: statistics.median(found) for name, found in values.items() if found}


def _coarse(line: Mapping[str, Any]) -> dict[str, float]:
    """The parts of a step as runs record them that do not break it down further."""
    keys = ("compute_seconds_max", "communication_seconds", "aggregation_seconds", "exchange_seconds", "seconds")
    if not all(isinstance(line.get(key), int | float) for key in keys):
        return {}
    gradient, communication, aggregate, exchange, whole = (float(line[key]) for key in keys)
    return {
        "gradient": gradient,
        "communication": communication,
        "aggregate": aggregate,
        "update": max(0.0, whole - exchange - aggregate),
    }


def _known(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def _mean(group: Group, value: Any) -> float | None:
    found = [number for number in map(value, group.complete or group.runs) if number is not None]
    return statistics.fmean(found) if found else None


def _seconds(value: float | None) -> str:
    return NONE if value is None else f"{value:#.3g}" if value < 99.5 else f"{value:.0f}"


def _megabytes(value: float | None) -> str:
    return NONE if value is None else f"{value / 1e6:.2f}"


def _draw(bars: Sequence[tuple[str, Mapping[str, float]]], names: Sequence[str], axes: "Axes") -> None:
    begins = [0.0] * len(bars)
    places = list(range(len(bars)))
    for index, name in enumerate(names):
        lengths = [parts.get(name, 0.0) for _, parts in bars]
        axes.barh(places, lengths, left=begins, height=0.7, color=SERIES[index])
        begins = [begin + length for begin, length in zip(begins, lengths, strict=True)]
    axes.set_yticks(places, [label for label, _ in bars], fontsize=7)
    axes.set_ylim(len(bars) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")
    axes.set_xlabel("seconds")
