"""The part of the page that says who did what."""

from byzshield.plots.blame import blame_section

SUMMARY = {
    "status": "failed",
    "steps": 12,
    "reason": "20 steps in a row were skipped <b>",
    "blamed": {"3": {"minority": 4, "payload_mismatch": 2, "timeout": 0}, "5": {"minority": 1}},
    "asked": {"3": {"steps": 12, "votes": 60, "payloads": 8}, "5": {"steps": 12, "votes": 60, "payloads": 0}},
}


def test_it_has_a_row_a_worker_with_verdict_and_shares() -> None:
    section = blame_section("<run>", SUMMARY)
    assert (
        "<tr><td>3</td><td>proven</td><td>payload_mismatch 2 of 8 payloads (25%); minority 4 of 60 votes (7%)</td></tr>"
        in section
    )
    assert "<tr><td>5</td><td>suspected</td><td>minority 1 of 60 votes (2%)</td></tr>" in section
    assert "payload_mismatch (proof)" in section
    assert "minority (evidence)" in section
    assert "outvote" in section
    assert "&lt;run&gt;" in section


def test_it_says_why_a_run_ended_early() -> None:
    assert "failed after step 12: 20 steps in a row were skipped &lt;b&gt;" in blame_section("run", SUMMARY)
    assert "after step" not in blame_section("run", {**SUMMARY, "status": "complete"})


def test_it_says_so_when_there_is_nothing_to_say() -> None:
    assert "Nothing is held against any worker." in blame_section("run", {"blamed": {}})
