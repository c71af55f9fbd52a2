"""Who did what in a run: what is proven apart from what only points to somebody, each as a share of what was asked."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from byzshield.causes import CAUSES, SUSPECTED, Verdict, verdicts
from byzshield.plots.document import NONE, Bullets, Part, Row, Table
from byzshield.plots.runs import Run

__all__ = ["accused", "accused_rows", "blame", "ending"]

MOST_LISTED: Final = 12  # workers, in a cell


def ending(summary: Mapping[str, Any]) -> str:
    """How a run ended if it was before its last step, else nothing: a sentence from the contents of its summary.json."""
    status = summary.get("status", "complete")
    return "" if status == "complete" else f"{status} after step {summary.get('steps')}: {summary.get('reason')}"


def accused(facts: Mapping[str, Any]) -> str:
    """Who is proven Byzantine and who is suspected, in a sentence."""
    found = verdicts(facts)
    proven, suspected = ([each.worker for each in found if each.proven is wanted] for wanted in (True, False))
    if not found:
        return "Nothing is held against any worker."
    parts = [f"{word}: {_listed(some)}" for word, some in (("proven", proven), ("suspected", suspected)) if some]
    return f"Workers {'; '.join(parts)}."


def accused_rows(runs: Sequence[Run]) -> list[Row]:
    """A row of headings, then for each run the workers that are proven Byzantine, only suspected, and expelled."""
    rows: list[Row] = [("run", "seed", "proven", "suspected", "expelled")]
    for run in runs:
        found = verdicts(run.facts)
        kinds = [[each.worker for each in found if each.proven is wanted] for wanted in (True, False)]
        expelled = [int(worker) for worker in run.facts.get("expelled") or {}]
        seed = NONE if run.seed is None else str(run.seed)
        rows.append((run.name, seed, *(_listed(some) for some in (*kinds, expelled))))
    none_expelled = all(row[-1] == NONE for row in rows[1:])
    return [row[:-1] for row in rows] if none_expelled else rows


def blame(name: str, facts: Mapping[str, Any]) -> Iterator[Part]:
    """What is held against whom in a run, and who was expelled.

    Args:
        name: the run's.
        facts: the contents of its summary.json.
    """
    found, expelled = verdicts(facts), facts.get("expelled") or {}
    if not found and not expelled:
        yield "Nothing is held against any worker."
        return
    head: Row = ("worker", "verdict", "proof", "evidence")
    rows: list[Row] = [(str(verdict.worker), verdict.name, *_faults(verdict)) for verdict in found]
    if expelled:
        head = (*head, "expelled")
        rows = [(*row, _expulsion(expelled.get(row[0]))) for row in rows]
        known = {row[0] for row in rows}
        rows += [(worker, "expelled", NONE, NONE, _expulsion(entry)) for worker, entry in expelled.items() if worker not in known]
    yield Table(name=f"{name}: faults by worker", rows=[head, *rows])
    met = [cause for cause in CAUSES if any(counts.get(cause) for counts in facts.get("blamed", {}).values())]
    yield Bullets(items=[f"{cause} ({'proof' if CAUSES[cause].proof else 'evidence'}): {CAUSES[cause].words}" for cause in met])
    if not all(verdict.proven for verdict in found):
        yield SUSPECTED


def _listed(workers: Sequence[int]) -> str:
    if len(workers) <= MOST_LISTED:
        return ", ".join(map(str, sorted(workers))) or NONE
    return f"{', '.join(map(str, sorted(workers)[:MOST_LISTED]))} and {len(workers) - MOST_LISTED} more"


def _faults(verdict: Verdict) -> tuple[str, str]:
    """Those that prove something, and the others."""
    proofs = [fault for fault in verdict.faults if CAUSES[fault.partition(" ")[0]].proof]
    others = [fault for fault in verdict.faults if fault not in proofs]
    return "; ".join(proofs) or NONE, "; ".join(others) or NONE


def _expulsion(entry: Any) -> str:
    """For example "step 2, by audit of file 7"; of a run without an end the step alone."""
    if not isinstance(entry, Mapping):
        return NONE
    file = "" if entry.get("file") is None else f" of file {entry['file']}"
    return f"step {entry.get('step')}" + (f", by {entry['evidence']}{file}" if entry.get("evidence") else "")
