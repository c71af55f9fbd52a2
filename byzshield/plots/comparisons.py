"""Which groups of runs may stand in one figure: those of the same data, model, attack and length, or of the same defense."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from byzshield.plots.groups import FREE, Group, in_words
from byzshield.plots.theme import DASHES, SERIES

__all__ = ["MOST_LINES", "Comparison", "Line", "comparisons", "shared_title"]

MOST_LINES: Final = len(SERIES)
MOST_WORDS: Final = 3  # that tell a title from others
SEPARATOR: Final = ", "


@dataclass(frozen=True, kw_only=True)
class Line:
    """A group in a comparison.

    Args:
        label: what tells it from the other lines.
        color: as matplotlib and HTML write it.
        dashes: lengths of strokes and gaps, in widths of the line.
        group: the group.
    """

    label: str
    color: str
    dashes: tuple[float, ...]
    group: Group


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Groups that it makes sense to compare.

    Args:
        title: what they share.
        lines: at most MOST_LINES.
    """

    title: str
    lines: tuple[Line, ...]


def comparisons(groups: Sequence[Group]) -> list[Comparison]:
    """Spreads groups over comparisons, in their order.

    Groups of other data, another model, batch or number of steps are never compared. Those of one attack are; where that leaves
    a group alone, it stands with those that differ from it in the attack alone. A label has the same color in all comparisons.
    """
    together: list[list[Group]] = []
    for alike in _parts(groups, _task):
        attacks = list(_parts(alike, _attack))
        together += [attack for attack in attacks if len(attack) > 1]
        together += _parts([attack[0] for attack in attacks if len(attack) == 1], _defense)
    labels = [_labels(found) for found in together]
    known = Counter(label for some in labels for label in some)
    order = (
        {label: number for number, label in enumerate(known)} if len(known) <= MOST_LINES and len(known) < known.total() else {}
    )
    titles = _titles(together)
    return [
        found for some, words, title in zip(together, labels, titles, strict=True) for found in _pieces(some, words, title, order)
    ]


def _pieces(groups: Sequence[Group], labels: Sequence[str], title: str, order: Mapping[str, int]) -> Iterator[Comparison]:
    pieces = -(-len(groups) // MOST_LINES)
    for begin in range(0, len(groups), MOST_LINES):
        lines = []
        for index, group in enumerate(groups[begin : begin + MOST_LINES]):
            label = labels[begin + index]
            number = order.get(label, index)
            lines.append(Line(label=label, color=SERIES[number], dashes=DASHES[number], group=group))
        part = f" ({1 + begin // MOST_LINES} of {pieces})" if pieces > 1 else ""
        yield Comparison(title=title + part, lines=tuple(lines))


def _parts(groups: Sequence[Group], key: Callable[[Group], Any]) -> list[list[Group]]:
    found: dict[str, list[Group]] = {}
    for group in groups:
        found.setdefault(json.dumps(key(group), sort_keys=True, default=str), []).append(group)
    return list(found.values())


def _settings(group: Group) -> Mapping[str, Any]:
    return group.runs[0].config or group.settings


def _select(group: Group, *prefixes: str) -> dict[str, Any]:
    return {key: value for key, value in _settings(group).items() if key.startswith(prefixes) and key not in FREE}


def _task(group: Group) -> Any:
    return _select(group, "data.", "model.", "loss.", "run.steps", "run.epochs")


def _attack(group: Group) -> Any:
    attack = _select(group, "attack.")
    return attack if attack.get("attack.num_byzantine", 1) else "none"


def _defense(group: Group) -> Any:
    return {key: value for key, value in _settings(group).items() if not key.startswith("attack.") and key not in FREE}


def _labels(groups: Sequence[Group]) -> list[str]:
    """What tells each group from the others of the comparison."""
    words = [list(filter(None, (group.sweep, *group.words))) for group in groups]
    shared = set(words[0]).intersection(*words[1:]) if len(words) > 1 else set()
    return [
        SEPARATOR.join(word for word in own if word not in shared) or group.label
        for own, group in zip(words, groups, strict=True)
    ]


def _titles(together: Sequence[Sequence[Group]]) -> list[str]:
    """What the groups of each comparison share; more of it where several would be called the same."""
    titles = [shared_title(groups) for groups in together]
    for title in [title for title, count in Counter(titles).items() if count > 1]:
        same = [index for index, other in enumerate(titles) if other == title]
        keys = [key for index in same for group in together[index] for key in _settings(group) if key not in FREE]
        firsts = [_settings(together[index][0]) for index in same]
        telling = [
            key
            for key in dict.fromkeys(keys)
            if len({str(first.get(key)) for first in firsts}) > 1
            and all(len({str(_settings(group).get(key)) for group in together[index]}) == 1 for index in same)
        ]
        for index, first in zip(same, firsts, strict=True):
            words = [in_words(key, first[key]) for key in telling if key in first]
            titles[index] = SEPARATOR.join([title, *words[:MOST_WORDS]])
    return titles


def shared_title(groups: Sequence[Group]) -> str:
    """What groups share of attack, data, length, and whatever else tells them from others."""
    attack = _shared(groups, _attack_in_words) or _shared(groups, lambda group: group.runs[0].facts.get("attack"))
    parts = [attack, _shared(groups, lambda group: _settings(group).get("data.name"))]
    steps = _shared(groups, lambda group: _settings(group).get("run.steps"))
    parts += [f"{steps} steps"] if steps else []
    words = [word for word in groups[0].words if len(groups) > 1 and all(word in group.words for group in groups)]
    if " by " in attack:  # it has said that
        q = in_words("attack.num_byzantine", groups[0].runs[0].facts["num_byzantine"])
        words = [word for word in words if word != q]
    return SEPARATOR.join(dict.fromkeys([*filter(None, parts), *words]))


def _attack_in_words(group: Group) -> str | None:
    facts = group.runs[0].facts
    attack, q, num_workers = (facts.get(key) for key in ("attack", "num_byzantine", "num_workers"))
    if attack is None:
        return None
    return f"{attack} by {q} of {num_workers} workers" if q and num_workers else "no attack" if not q else str(attack)


def _shared(groups: Sequence[Group], value: Callable[[Group], Any]) -> str:
    values = {str(value(group)) for group in groups if value(group) is not None}
    return values.pop() if len(values) == 1 else ""
