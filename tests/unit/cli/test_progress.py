"""How a run ended, in lines for people."""

from pathlib import Path

import pytest

from byzshield.cli.progress import audits_in_words, print_summary


def test_the_end_names_every_measure_accuracy_first(capsys: pytest.CaptureFixture[str]) -> None:
    summary = dict.fromkeys(
        ("scheme", "num_byzantine", "num_workers", "attack", "aggregator", "corrupted_files_max", "num_files")
    )
    summary |= {"steps": 4, "step_seconds_median": 0.1, "test_sure": 0.5, "test_loss": None, "test_accuracy": 0.25}
    for words in (
        "test accuracy 0.2500, loss not finite, sure 0.5000 after 4 steps",
        "test loss not finite, sure 0.5000 after 4",
    ):
        print_summary(Path("r"), summary)
        assert capsys.readouterr().out.splitlines()[1].startswith(words)
        summary["test_accuracy"] = None


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
