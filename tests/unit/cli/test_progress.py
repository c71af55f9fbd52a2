"""How a run ended, in lines for people."""

from byzshield.cli.progress import audits_in_words


def test_audits_say_what_was_checked_who_is_expelled_and_what_that_promises() -> None:
    summary = {
        "audited_files": 42,
        "arbitrations": 0,
        "expelled": {"1": {"step": 3, "file": 1, "evidence": "audit"}, "4": {"step": 3, "file": 4, "evidence": "audit"}},
        "rolled_back_steps": 2,
        "guarantee": "words",
    }
    assert audits_in_words(summary) == [
        "audits     42 files checked, 0 arbitrated; expelled: 1, 4; 2 steps done again",
        "guarantee  words",
    ]
    assert "expelled: nobody;" in audits_in_words({**summary, "expelled": {}})[0]
    assert " 10, 11 and 3 more;" in audits_in_words({**summary, "expelled": dict.fromkeys(map(str, range(15)))})[0]


def test_without_audits_nothing_is_said_of_them() -> None:
    assert audits_in_words({}) == []
