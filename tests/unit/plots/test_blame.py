"""The part of a report that says who did what."""

from typing import Any

from byzshield.plots.blame import accused, accused_rows, blame, ending
from byzshield.plots.document import Bullets, Table
from byzshield.plots.runs import Run

SUMMARY: dict[str, Any] = {
    "status": "failed",
    "steps": 12,
    "reason": "20 steps in a row were skipped",
    "blamed": {"3": {"minority": 4, "payload_mismatch": 2, "timeout": 0}, "5": {"minority": 1}},
    "asked": {"3": {"steps": 12, "votes": 60, "payloads": 8}, "5": {"steps": 12, "votes": 60, "payloads": 0}},
}
EXPELLED = {"3": {"step": 2, "file": 7, "evidence": "audit"}, "9": {"step": 4, "file": None, "evidence": "payload"}}


def test_proof_stands_apart_from_evidence_each_with_its_share_of_what_was_asked() -> None:
    table, meanings, warning = blame("run", SUMMARY)
    assert isinstance(table, Table)
    assert table.rows == [
        ("worker", "verdict", "proof", "evidence"),
        ("3", "proven", "payload_mismatch 2 of 8 payloads (25%)", "minority 4 of 60 votes (7%)"),
        ("5", "suspected", "-", "minority 1 of 60 votes (2%)"),
    ]
    assert isinstance(meanings, Bullets)
    assert [meaning.partition(":")[0] for meaning in meanings.items] == ["minority (evidence)", "payload_mismatch (proof)"]
    assert "outvote" in str(warning)


def test_who_was_expelled_is_a_column_only_where_somebody_was() -> None:
    table, *_ = blame("run", {**SUMMARY, "expelled": EXPELLED})
    assert isinstance(table, Table)
    assert [(row[0], row[-1]) for row in table.rows] == [
        ("worker", "expelled"), ("3", "step 2, by audit of file 7"), ("5", "-"), ("9", "step 4, by payload")
    ]  # fmt: skip
    runs = [Run(name="a", settings={}, facts=SUMMARY), Run(name="b", settings={}, facts={})]
    assert accused_rows(runs) == [("run", "seed", "proven", "suspected"), ("a", "-", "3", "5"), ("b", "-", "-", "-")]
    rows = accused_rows([Run(name="c", settings={}, facts={**SUMMARY, "expelled": EXPELLED})])
    assert rows[0][-1] == "expelled"
    assert rows[1][-1] == "3, 9"


def test_it_says_why_a_run_ended_early() -> None:
    assert ending(SUMMARY) == "failed after step 12: 20 steps in a row were skipped"
    assert ending({**SUMMARY, "status": "complete"}) == ""


def test_it_says_so_when_there_is_nothing_to_say_and_counts_those_who_are_too_many() -> None:
    assert list(blame("run", {"blamed": {}})) == ["Nothing is held against any worker."]
    assert accused({"blamed": {}}) == "Nothing is held against any worker."
    assert accused(SUMMARY) == "Workers proven: 3; suspected: 5."
    assert accused({"blamed": {str(worker): {"minority": 1} for worker in range(20)}}).endswith("11 and 8 more.")
