"""The server's book of faults and of what it asked for."""

import logging

import pytest

from byzshield.errors import CheckpointError
from byzshield.training.blame import Blame


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> pytest.LogCaptureFixture:
    monkeypatch.setattr(logging.getLogger("byzshield"), "propagate", True)  # the command line may have ended that
    caplog.set_level(logging.INFO, logger="byzshield")
    return caplog


def test_the_first_evidence_of_a_step_is_one_line_for_all_workers(logged: pytest.LogCaptureFixture) -> None:
    blame = Blame(40)
    for worker in range(30):
        blame.add(worker, "minority")
    blame.take_new(3)
    (record,) = logged.records
    assert record.levelno == logging.INFO
    assert record.getMessage() == (
        "step 3: voted against a file's winner, for the first time: workers "
        f"{', '.join(map(str, range(20)))} and 10 more (evidence, no proof)"
    )


def test_a_proof_is_logged_at_once_with_what_happened(logged: pytest.LogCaptureFixture) -> None:
    Blame(3).add(1, "malformed", detail="there is no file 99")
    (record,) = logged.records
    assert record.levelno == logging.WARNING
    assert record.getMessage() == "worker 1: there is no file 99 (proof; further ones are counted, not logged)"


def test_a_flood_cannot_fill_the_log(logged: pytest.LogCaptureFixture) -> None:
    blame = Blame(2)
    for step in range(100):
        for _ in range(10):
            blame.add(0, "malformed", detail="garbage")
            blame.add(1, "timeout")
        blame.take_new(step)
    assert len(logged.records) == 2
    assert blame.count(0, "malformed") == blame.count(1, "timeout") == 1000


def test_what_is_new_adds_up_to_the_report() -> None:
    blame = Blame(3)
    blame.add(0, "minority")
    blame.add(2, "timeout")
    first = blame.take_new(1)
    blame.add(0, "minority")
    assert first == {"0": {"minority": 1}, "2": {"timeout": 1}}
    assert blame.take_new(2) == {"0": {"minority": 1}}
    assert blame.take_new(3) == {}
    assert {worker: counts for worker, counts in blame.report().items() if counts["minority"] == 2}.keys() == {"0"}


def test_a_restored_book_goes_on_and_its_new_log_starts_afresh(logged: pytest.LogCaptureFixture) -> None:
    blame = Blame(2)
    blame.ask(1, "votes", 5)
    blame.add(1, "minority")
    again = Blame(2)
    again.add(0, "slow")
    again.load_state_dict(blame.state_dict())
    assert again.state_dict() == blame.state_dict()
    again.add(1, "minority")
    assert again.take_new(2) == {"1": {"minority": 1}}
    assert [record.getMessage() for record in logged.records] == [
        "step 2: voted against a file's winner, for the first time: worker 1 (evidence, no proof)"
    ]


def test_a_checkpoint_from_before_shares_were_counted_is_taken_up() -> None:
    blame = Blame(2)
    blame.load_state_dict({"1": {"minority": 4, "lost": 0}})
    assert blame.report()["1"]["minority"] == 4
    assert blame.asked()["1"] == {"steps": 0, "votes": 0, "payloads": 0}


def test_a_checkpoint_of_more_workers_is_refused() -> None:
    with pytest.raises(CheckpointError, match="blames worker 2 of 2"):
        Blame(2).load_state_dict({"2": {"minority": 4}})
