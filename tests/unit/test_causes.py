"""What is held against workers, as proof or evidence, and as a share of what was asked."""

from byzshield.causes import CAUSES, REQUESTS, verdicts

ASKED = {"steps": 10, "votes": 50, "payloads": 4}


def test_only_what_no_honest_worker_does_is_proof() -> None:
    assert {name for name, cause in CAUSES.items() if cause.proof} == {"payload_mismatch", "audit", "malformed"}
    assert all(set(cause.asked) <= set(REQUESTS) for cause in CAUSES.values())


def test_each_fault_is_a_share_of_what_was_asked_and_proofs_come_first() -> None:
    blamed = {"7": {"minority": 25, "payload_mismatch": 1, "malformed": 0, "timeout": 7, "lost": 1}}
    (verdict,) = verdicts({"blamed": blamed, "asked": {"7": ASKED}})
    assert (verdict.worker, verdict.name) == (7, "proven")
    assert verdict.faults == (
        "payload_mismatch 1 of 4 payloads (25%)",
        "minority 25 of 50 votes (50%)",
        "timeout 7 of 14 steps and payloads (50%)",
        "lost 1",
    )


def test_the_proven_come_first_and_then_those_with_the_largest_share() -> None:
    blamed = {"0": {"minority": 5}, "1": {"minority": 40}, "2": {"malformed": 1}, "3": {"lost": 1}}
    found = verdicts({"blamed": blamed, "asked": dict.fromkeys(blamed, ASKED)})
    assert [(verdict.worker, verdict.proven) for verdict in found] == [(2, True), (1, False), (0, False), (3, False)]


def test_a_summary_without_what_was_asked_has_counts_alone() -> None:
    (verdict,) = verdicts({"blamed": {"0": {"minority": 5, "timeout": 0}}})
    assert verdict.faults == ("minority 5",)
    assert verdicts({}) == []
