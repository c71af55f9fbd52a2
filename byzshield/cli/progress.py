"""How a run ended, for people."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from byzshield.causes import SUSPECTED, verdicts
from byzshield.runtime.wording import evaluations

__all__ = ["accusations", "audits_in_words", "print_summary"]

MOST_SHOWN = 12  # workers; the others are in summary.json


def print_summary(path: Path, summary: dict[str, Any]) -> None:
    """Prints how a run ended, in three lines, what is held against whom, and what audits came to."""
    print(
        f"{summary['scheme']}, {summary['num_byzantine']} of {summary['num_workers']} workers Byzantine "
        f"({summary['attack']}), {summary['aggregator']}: at most {summary['corrupted_files_max']} of {summary['num_files']} "
        f"files corrupted"
    )
    found = evaluations(summary)
    first = {name: found.pop(name, None) for name in ("accuracy", "loss")}
    if first["accuracy"] is None:  # a task without one
        del first["accuracy"]
    words = [f"{name} {'not finite' if value is None else f'{value:.4f}'}" for name, value in {**first, **found}.items()]
    print(f"test {', '.join(words)} after {summary['steps']} steps, {summary['step_seconds_median']:.3f} s a step")
    for line in [*accusations(summary), *audits_in_words(summary)]:
        print(line)
    print(f"results in {path}")


def accusations(summary: Mapping[str, Any]) -> list[str]:
    """What summary.json, or the like, holds against whom, in lines; none if nobody is accused."""
    found = verdicts(summary)
    if not found:
        return []
    lines = [f"{each.name:<9}  worker {each.worker:<4} {'; '.join(each.faults)}" for each in found[:MOST_SHOWN]]
    if len(found) > MOST_SHOWN:
        lines.append(f"and {len(found) - MOST_SHOWN} more, in summary.json")
    return lines if all(each.proven for each in found) else [*lines, SUSPECTED]


def audits_in_words(summary: Mapping[str, Any]) -> list[str]:
    """What was checked, who is expelled for it, and what that promises, in two lines; none without audits."""
    if "guarantee" not in summary:
        return []
    workers = list(summary["expelled"])
    expelled = ", ".join(workers[:MOST_SHOWN]) or "nobody"
    expelled += f" and {len(workers) - MOST_SHOWN} more" if len(workers) > MOST_SHOWN else ""
    checked = f"{summary['audited_files']} files checked, {summary['arbitrations']} arbitrated"
    return [
        f"audits     {checked}; expelled: {expelled}; {summary['rolled_back_steps']} steps done again",
        f"guarantee  {summary['guarantee']}",
    ]
