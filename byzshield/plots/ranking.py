"""Which learning rate and schedule to take: the groups of a sweep, ranked by training loss."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from byzshield.errors import ConfigError

__all__ = ["ranking", "tuned_axes"]


def tuned_axes(axes: Sequence[str]) -> list[str]:
    """The axes that are keys of the optimizer or of the schedule.

    Raises:
        ConfigError: there is none.
    """
    tuned = [axis for axis in axes if axis.startswith(("optimizer.", "schedule."))]
    if not tuned:
        raise ConfigError(
            "grid: ranking needs something to choose: list values of a key of optimizer or schedule, as optimizer.lr"
        )
    return tuned


def ranking(results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The groups of a sweep, ranked among those that differ in tuned axes alone.

    The least mean training loss comes first; groups without one (diverged, failed) come last.

    Args:
        results: the contents of results.json.

    Returns:
        for each group its "rank" from 1, its settings, "train_loss" (None without one) and "seeds".
    """
    tuned = tuned_axes(results["axes"])
    alternatives: dict[str, list[dict[str, Any]]] = {}
    for group in results["groups"]:
        others = {axis: label for axis, label in group["settings"].items() if axis not in tuned}
        alternatives.setdefault(json.dumps(others, default=str), []).append(group)
    rows = []
    for groups in alternatives.values():
        groups.sort(key=lambda group: float("inf") if group["train_loss"] is None else group["train_loss"]["mean"])
        for rank, group in enumerate(groups, start=1):
            loss = group["train_loss"]
            rows.append(
                {
                    "rank": rank,
                    **group["settings"],
                    "train_loss": None if loss is None else loss["mean"],
                    "seeds": len(group["seeds"]),
                    "statuses": group["statuses"],
                }
            )
    return rows
