"""What runs came to, in sentences."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

from byzshield.plots.blame import accused
from byzshield.plots.comparisons import Comparison
from byzshield.plots.document import NONE, Bullets, Part
from byzshield.plots.groups import Group
from byzshield.plots.runs import COMPLETE, Run

__all__ = ["summary"]

MOST_COMPARED: Final = 8
MOST_RANKED: Final = 6


def summary(groups: Sequence[Group], compared: Sequence[Comparison]) -> list[Part]:
    """The first words of a report."""
    runs = [run for group in groups for run in group.runs]
    if len(runs) == 1:
        return [" ".join(filter(None, _one_run(runs[0])))]
    parts: list[Part] = [_overview(groups, runs)]
    ranked = [f"{comparison.title}: {words}" for comparison in compared if (words := _ranked(comparison))]
    if ranked:
        parts.append("Test accuracy at the end, the highest first:")
        parts.append(Bullets(items=ranked[:MOST_COMPARED]))
        if len(ranked) > MOST_COMPARED:
            parts.append(f"And {len(ranked) - MOST_COMPARED} more comparisons, in the table.")
    return parts


def _overview(groups: Sequence[Group], runs: Sequence[Run]) -> str:
    counts = Counter(run.status for run in runs)
    statuses = f"all {COMPLETE}" if set(counts) == {COMPLETE} else ", ".join(f"{counts[status]} {status}" for status in counts)
    seeds = f", in {len(groups)} groups that differ in more than the seed" if len(groups) < len(runs) else ""
    return f"{len(runs)} runs{seeds}: {statuses}."


def _ranked(comparison: Comparison) -> str:
    found = []
    for line in comparison.lines:
        spread = line.group.spread(lambda run: run.final_accuracy)
        if spread is not None:
            width = "" if spread.std is None else f" ± {100 * spread.std:.1f}"
            found.append((-spread.mean, f"{line.label} {spread.mean:.1%}{width}"))
    ranked = [words for _, words in sorted(found)]
    more = f", and {len(ranked) - MOST_RANKED} more" if len(ranked) > MOST_RANKED else ""
    return ", ".join(ranked[:MOST_RANKED]) + more


def _one_run(run: Run) -> list[str]:
    facts = run.facts
    workers, byzantine, files = (facts.get(key) for key in ("num_workers", "num_byzantine", "num_files"))
    who = f"{workers or NONE} workers, " + (
        f"{byzantine} of them Byzantine ({facts.get('attack')})" if byzantine else "none of them Byzantine"
    )
    corrupted = run.corrupted_files
    of_files = (
        "" if corrupted is None else f"; at most {corrupted}{f' of {files}' if files else ''} files of a step were corrupted"
    )
    words = [f"{who}; placement {facts.get('scheme')}, rule {facts.get('aggregator')}{of_files}."]
    steps = run.config.get("run.steps")
    if run.status == COMPLETE:
        accuracy = "" if run.final_accuracy is None else f": test accuracy {run.final_accuracy:.1%}"
        words.append(f"It is complete after {facts.get('steps', run.last_step)} steps{accuracy}.")
    else:
        of_steps, reason = f" of {steps}" if steps else "", f": {run.reason}" if run.reason else ""
        words.append(f"It is {run.status}, after step {run.last_step}{of_steps}{reason}.")
        words += [f"After step {step} the test accuracy was {accuracy:.1%}." for step, accuracy in run.accuracy[-1:]]
    if run.step_seconds is not None and run.bytes_received is not None:
        words.append(f"A step took {run.step_seconds:.2g} s, and brought the server {run.bytes_received / 1e6:.3g} MB.")
    if "blamed" in facts:
        words.append(accused(facts))
    return words
