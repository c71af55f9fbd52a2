"""`byzshield verify`: a sound run passes, and whatever is changed in a run's record or weights is found."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from byzshield.cli.main import main
from byzshield.config import RunConfig
from byzshield.runtime import open_finished, simulate
from byzshield.runtime.checkpoint import load_checkpoint, save_checkpoint
from byzshield.runtime.record import commitment, effective, links
from byzshield.runtime.verification import Verifier
from byzshield.storage import json_lines, read_json_lines

Maker = Callable[..., RunConfig]
REVERSED = {"name": "reversed_gradient", "num_byzantine": 2, "selection": "first"}


@pytest.fixture
def recorded(tiny_run: Maker) -> Callable[..., Path]:
    """Returns what makes a run of six steps with a record, and a checkpoint every two."""

    def make(name: str = "tiny", **sections: dict[str, Any]) -> Path:
        run = {"steps": 6, "checkpoint_every": 2, "name": name}
        return simulate(tiny_run(**{"run": run, "audit": {"record": True}, **sections}), overwrite=True)[0].path

    return make


def verify(capsys: pytest.CaptureFixture[str], path: Path, *words: str) -> tuple[int, dict[str, Any]]:
    status = main(["verify", str(path), "--json", *words])
    return status, json.loads(capsys.readouterr().out)


def rewrite(path: Path, change: Callable[[dict[str, Any]], None], *, step: int) -> None:
    """Changes the record's line of a step, and makes a new chain over it, as a server that lies would."""
    from byzshield.runtime.record import _link

    lines, head = read_json_lines(path / "record.jsonl"), ""
    for line in lines:
        if line["step"] == step:
            change(line)
        line["chain"] = head = _link(head, line)
    (path / "record.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_a_sound_run_is_as_recorded_whatever_it_was(recorded: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
    baseline: dict[str, dict[str, Any]] = {"placement": {"scheme": "baseline"}, "aggregation": {"rule": "mean"}}
    runs = [
        recorded(),
        recorded("momenta", attack={"name": "alie", "num_byzantine": 1}, data={"split": "iid"}, aggregation={"momentum": 0.9}),
        recorded("liars", **baseline, attack=REVERSED, audit={"rate": 0.5, "rollback": True}),
    ]
    for path in runs[1:]:
        assert verify(capsys, path)[0] == 0
        assert verify(capsys, path, "--sample", "0.2")[0] == 0
    status, result = verify(capsys, runs[0])
    assert (status, result["steps"], result["checkpoints"], result["findings"]) == (0, 6, 3, [])
    assert result["files"] == result["drawn"] == 6 * 25


def test_only_what_one_file_needs_is_recomputed(recorded: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
    status, result = verify(capsys, recorded(), "--step", "4", "--file", "7")
    # From the checkpoint of step 2, all 25 files of step 3, and one of step 4.
    assert (status, result["steps"], result["files"], result["reached"], result["drawn"]) == (0, 1, 26, 1, 1)


def test_a_wrong_file_is_found_alone_and_whatever_lies_behind_a_wrong_winner_is_said_not_to_be_reached(
    recorded: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    path = recorded(placement={"scheme": "baseline"}, aggregation={"rule": "mean"}, attack=REVERSED)
    status, result = verify(capsys, path, "--step", "3", "--file", "1")
    assert (status, result["files"]) == (1, 1)
    assert [(found["step"], found["file"]) for found in result["findings"]] == [(3, 1)]
    assert verify(capsys, path, "--step", "3", "--file", "2")[0] == 0
    status, result = verify(capsys, path, "--step", "4", "--file", "2")
    assert (status, result["reached"], result["drawn"]) == (1, 0, 1)


def test_a_sample_costs_its_share_and_may_be_any_stretch_between_two_checkpoints(
    recorded: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    path = recorded()
    status, result = verify(capsys, path, "--sample", "0.3")
    assert (status, result["steps"], result["files"], result["reached"], result["drawn"]) == (0, 2, 50, 50, 50)
    verifier = Verifier(*open_finished(path))
    verifier.check_checkpoints()
    drawn = {tuple(verifier.draw(0.3)) for _ in range(100)}
    assert drawn == {(1, 2), (3, 4), (5, 6)}
    assert {tuple(verifier.draw(0.5)) for _ in range(100)} == {(1, 2, 3, 4), (1, 2, 5, 6), (3, 4, 5, 6)}


def test_a_wrong_file_of_a_step_is_found_and_the_check_goes_on_behind_the_next_checkpoint(
    recorded: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    path = recorded(placement={"scheme": "baseline"}, aggregation={"rule": "mean"}, attack=REVERSED)
    status, result = verify(capsys, path)
    assert status == 1
    assert [(found["step"], found["file"], found["what"]) for found in result["findings"]] == [
        (step, file, "winner") for step in (1, 3, 5) for file in (0, 1)
    ]
    assert main(["verify", str(path), "--step", "3"]) == 1
    assert "step 3, file 1: the record has winner" in capsys.readouterr().out


CHANGES: dict[str, tuple[Callable[[dict[str, Any]], None], str]] = {
    "a winner": (lambda line: line["winners"].__setitem__(3, commitment(b"another")), "winner"),
    "an aggregate": (lambda line: line.__setitem__("aggregate", commitment(b"another")), "aggregate"),
    "weights": (lambda line: line.__setitem__("weights", commitment(b"another")), "weights"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_record_that_was_made_up_is_found_by_recomputing(
    recorded: Callable[..., Path], capsys: pytest.CaptureFixture[str], name: str
) -> None:
    path = recorded()
    change, what = CHANGES[name]
    rewrite(path, change, step=3)
    status, result = verify(capsys, path, "--step", "3")
    assert (status, result["broken"]) == (1, None)
    assert [(found["step"], found["what"]) for found in result["findings"]] == [(3, what)]


def test_any_changed_character_of_the_record_breaks_the_chain(
    recorded: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    path = recorded()
    whole = (path / "record.jsonl").read_bytes()
    lines = read_json_lines(path / "record.jsonl")
    assert all(links(lines))
    for position in range(5, len(whole), len(whole) // 60):
        changed = bytearray(whole)
        changed[position] ^= 1
        (path / "record.jsonl").write_bytes(changed)
        texts = (path / "record.jsonl").read_bytes().splitlines()
        assert not all(links(next(iter(json_lines(text)), {}) for text in texts)), position
    (path / "record.jsonl").write_bytes(whole.replace(b'"step": 4', b'"step": 9'))
    status, result = verify(capsys, path, "--step", "1")
    assert (status, result["broken"]) == (1, 5)


def test_changed_weights_of_a_checkpoint_are_found_though_its_checksum_is_right(
    recorded: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    path = recorded()
    checkpoint = path / "checkpoints" / "step_4.pt"
    state = load_checkpoint(checkpoint)
    next(iter(state["model"].values())).view(-1)[0] += 1e-6
    save_checkpoint(checkpoint.parent, state, configuration=state["configuration"])
    status, result = verify(capsys, path, "--step", "1")
    assert status == 1
    assert [(found["step"], found["what"]) for found in result["findings"]] == [(4, "checkpoint")]
    checkpoint.write_bytes(b"damaged")
    assert main(["verify", str(path), "--step", "6"]) == 1  # from the checkpoint before
    assert "the checkpoint of step 4 is damaged" in capsys.readouterr().out


def test_two_runs_are_compared_by_bisection(recorded: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
    plain: dict[str, dict[str, Any]] = {"placement": {"scheme": "baseline"}, "aggregation": {"rule": "mean"}}
    ours = recorded("ours", **plain)
    theirs = recorded("theirs", **plain, attack={"name": "wrong_digest", "num_byzantine": 1, "at_steps": [5]})
    assert verify(capsys, ours, "--against", str(ours))[1]["first_difference"] is None
    status, result = verify(capsys, ours, "--against", str(theirs))
    assert (status, result["first_difference"], result["steps"]) == (0, 5, 1)


def test_the_last_line_of_a_step_counts_and_none_of_those_that_were_undone() -> None:
    lines = [{"step": 0}, {"step": 1, "a": 1}, {"step": 2}, {"step": 1, "a": 2}]
    assert effective(lines) == [{"step": 0}, {"step": 1, "a": 2}]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--file", "3"], "--file: needs --step, the step of that file"),
        (["--sample", "0"], "--sample: must be more than 0 and at most 1; got 0"),
        (["--sample", "0.1", "--step", "2"], "--step, --sample and --against exclude each other"),
        (["--step", "7"], "the record has the 25 files of steps 1 to 6"),
        (["--step", "2", "--file", "25"], "the record has the 25 files of steps 1 to 6"),
    ],
)
def test_what_cannot_be_checked_is_refused_in_one_line(
    recorded: Callable[..., Path], capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    assert main(["verify", str(recorded()), *words]) == 2
    assert message in capsys.readouterr().err


def test_a_run_without_a_record_says_how_to_get_one(tiny_run: Maker, capsys: pytest.CaptureFixture[str]) -> None:
    directory, _ = simulate(tiny_run())
    assert main(["verify", str(directory.path)]) == 2
    assert "train with audits, or with audit.record = true" in capsys.readouterr().err


def test_a_record_leaves_the_weights_as_they_are(
    tiny_run: Maker,
    recorded: Callable[..., Path],
    weights_of: Callable[[Path], dict[str, torch.Tensor]],
    same_weights: Callable[..., bool],
) -> None:
    directory, _ = simulate(tiny_run(run={"steps": 6, "name": "without"}))
    assert same_weights(weights_of(directory.path), weights_of(recorded()))
