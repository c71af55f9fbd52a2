"""What is held against the workers of a run, for the page about it."""

import html
from collections.abc import Mapping
from typing import Any

from byzshield.causes import CAUSES, SUSPECTED, verdicts

__all__ = ["blame_section", "ending"]


def ending(summary: Mapping[str, Any]) -> str:
    """How a run ended if it was before its last step, else nothing: a sentence from the contents of its summary.json."""
    status = summary.get("status", "complete")
    return "" if status == "complete" else f"{status} after step {summary.get('steps')}: {summary.get('reason')}"


def blame_section(name: str, summary: Mapping[str, Any]) -> str:
    """One run's part of the page, in HTML: its end if it came early, and a row for each worker that anything is held against.

    Args:
        name: the run's.
        summary: the contents of its summary.json.
    """
    parts = [f"<h2>{html.escape(name)}: who did what</h2>"]
    if early := ending(summary):
        parts.append(f"<p>{html.escape(early)}</p>")
    found = verdicts(summary)
    if not found:
        parts.append("<p>Nothing is held against any worker.</p>")
        return "\n".join(parts) + "\n"
    rows = [
        f"<tr><td>{verdict.worker}</td><td>{verdict.name}</td><td>{html.escape('; '.join(verdict.faults))}</td></tr>"
        for verdict in found
    ]
    met = [cause for cause in CAUSES if any(counts.get(cause) for counts in summary["blamed"].values())]
    meanings = "; ".join(f"{cause} ({'proof' if CAUSES[cause].proof else 'evidence'}): {CAUSES[cause].words}" for cause in met)
    parts.append("<table><tr><th>worker</th><th>verdict</th><th>counted, of what was asked of it</th></tr>")
    parts += [*rows, "</table>", f"<p>{html.escape(meanings)}. {html.escape(SUSPECTED)}</p>"]
    return "\n".join(parts) + "\n"
