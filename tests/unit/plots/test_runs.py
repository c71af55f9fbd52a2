"""Directories of runs, whatever state they are in, and their groups."""

import json
from pathlib import Path

import pytest
from synthetic_runs import make_run

from byzshield.errors import ConfigError
from byzshield.plots import Spread, group_runs, read_run, read_runs, table_rows, unfinished_rows
from byzshield.plots.measurements import run_row


def test_a_finished_run_has_its_numbers(tmp_path: Path) -> None:
    run = read_run(make_run(tmp_path / "a", accuracy=0.8))
    assert (run.name, run.status, run.seed, run.corrupted_files, run.step_seconds) == ("a", "complete", 1, 3, 0.1)
    assert run.accuracy == [(5, 0.2), (10, 0.4), (15, pytest.approx(0.6)), (20, 0.8)]
    assert run.train_loss == pytest.approx((3 - 19 / 20 + 3 - 1) / 2)  # of the last tenth


def test_a_run_without_its_lines_has_the_numbers_that_it_had_with_them(tmp_path: Path) -> None:
    run = read_run(make_run(tmp_path / "a", accuracy=0.8, status="complete"))
    bare = run.without_lines()
    assert (bare.lines, len(run.lines)) == ([], 20)
    assert run_row(bare) == run_row(read_run(tmp_path / "a"))


def test_a_run_that_peaked_early_has_its_best_accuracy(tmp_path: Path) -> None:
    path = make_run(tmp_path / "a", accuracy=0.8)
    with open(path / "metrics.jsonl", "a") as file:
        file.write('{"step": 21, "test_accuracy": 0.9}\n{"step": 22, "test_acc')  # and a line cut short
    run = read_run(path)
    assert (run.final_accuracy, run.best_accuracy) == (0.8, 0.9)


@pytest.mark.parametrize(("status", "shown"), [(None, "unfinished"), ("failed", "failed"), ("stopped", "stopped")])
def test_a_run_that_is_not_complete_has_a_status_and_no_final_accuracy(tmp_path: Path, status: str | None, shown: str) -> None:
    run = read_run(make_run(tmp_path / "a", status=status, reason="told to" if status else "", lines=7))
    assert (run.status, run.final_accuracy, run.train_loss, run.corrupted_files) == (shown, None, None, 3)
    assert run.reason == ("told to" if status else "")
    assert run.accuracy == [(5, 0.125)]
    (group,) = group_runs([run])
    head, row = table_rows([group])
    assert dict(zip(head, row, strict=True)) | {
        "test accuracy": "-",
        "status": shown,
        "scheme": "mols",
        "rule": "median",
    } == dict(zip(head, row, strict=True))
    assert unfinished_rows([run])[1:] == [("a", "1", shown, "7 of 100", run.reason or "-")]


def test_a_run_that_failed_before_its_first_step_has_no_numbers(tmp_path: Path) -> None:
    path = make_run(tmp_path / "a", status="failed", reason="told to", lines=0)
    summary = json.loads((path / "summary.json").read_text())
    counted = {"corrupted_files_max": 0, "step_seconds_median": 0.0, "server_bytes_received_per_step": 0, "num_files": 25}
    (path / "summary.json").write_text(json.dumps(summary | counted))
    head, row = table_rows(group_runs([read_run(path)]))
    shown = dict(zip(head, row, strict=True))
    assert {shown[column] for column in ("corrupted files", "s a step", "MB received a step", "test accuracy")} == {"-"}


def test_a_summary_from_before_statuses_is_that_of_a_complete_run(tmp_path: Path) -> None:
    path = make_run(tmp_path / "a")
    summary = json.loads((path / "summary.json").read_text())
    del summary["status"], summary["reason"]
    (path / "summary.json").write_text(json.dumps(summary))
    assert read_run(path).status == "complete"


def test_a_loss_beyond_all_numbers_is_none(tmp_path: Path) -> None:
    path = make_run(tmp_path / "a")
    (path / "metrics.jsonl").write_text('{"step": 1, "loss": NaN}\n{"step": 2, "loss": Infinity}\n')
    assert read_run(path).train_loss is None


@pytest.mark.parametrize("damage", ["summary.json", "config.toml"])
def test_a_damaged_run_is_left_out_and_named_and_the_others_stay(tmp_path: Path, damage: str) -> None:
    good, bad = make_run(tmp_path / "good"), make_run(tmp_path / "bad")
    (bad / damage).write_text("{")
    (tmp_path / "empty").mkdir()
    runs, problems = read_runs([bad, good, tmp_path / "empty", tmp_path / "nowhere"])
    assert [run.name for run in runs] == ["good"]
    assert [problem.partition(" is not the directory of a run")[0] for problem in problems] == [
        str(bad), str(tmp_path / "empty"), str(tmp_path / "nowhere")
    ]  # fmt: skip
    with pytest.raises(ConfigError, match="bad is not the directory of a run"):
        read_runs([bad])


def test_a_folder_of_runs_is_all_its_runs(tmp_path: Path) -> None:
    for name in ("b", "a"):
        make_run(tmp_path / name)
    assert [run.name for run in read_runs([tmp_path])[0]] == ["a", "b"]


def test_runs_that_differ_in_the_seed_alone_are_one_group(tmp_path: Path) -> None:
    for seed, accuracy in ((1, 0.4), (2, 0.6)):
        make_run(tmp_path / f"mols-{seed}", accuracy=accuracy, run={"seed": seed, "name": f"n{seed}"})
    make_run(tmp_path / "frc", placement={"scheme": "frc"})
    alone, both = group_runs(read_runs([tmp_path])[0])
    assert (alone.label, both.label) == ("frc", "mols")
    assert both.spread(lambda run: run.final_accuracy) == Spread(
        mean=0.5, std=pytest.approx(0.02**0.5), least=0.4, most=0.6, count=2
    )
    assert [(step, spread.mean) for step, spread in both.curve()] == [
        (5, pytest.approx(0.125)), (10, 0.25), (15, pytest.approx(0.375)), (20, 0.5)
    ]  # fmt: skip
    head, *rows = table_rows([alone, both])
    assert [row[head.index("test accuracy")] for row in rows] == ["50.0%", "50.0% ± 14.1"]
    assert [row[head.index("seed")] for row in rows] == ["1", "1, 2"]
    assert "status" not in head


def test_a_run_that_was_repeated_is_no_second_seed(tmp_path: Path) -> None:
    for name in ("tiny", "tiny-2"):
        make_run(tmp_path / name)
    assert [group.label for group in group_runs(read_runs([tmp_path])[0])] == ["tiny", "tiny-2"]


def test_an_unfinished_run_does_not_count_for_the_mean_of_its_group(tmp_path: Path) -> None:
    make_run(tmp_path / "1", accuracy=0.4)
    make_run(tmp_path / "2", accuracy=0.9, status=None, lines=5, run={"seed": 2})
    (group,) = group_runs(read_runs([tmp_path])[0])
    head, row = table_rows([group])
    assert dict(zip(head, row, strict=True))["status"] == "1 complete, 1 unfinished"
    assert dict(zip(head, row, strict=True))["test accuracy"] == "40.0%"
    assert [step for step, _ in group.curve()] == [5, 10, 15, 20]


def test_a_run_without_an_end_goes_on_or_was_killed_where_that_can_be_told(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        make_run(tmp_path / name, status=None, lines=5)
    held = {"a": True, "b": False, "c": None}
    runs, _ = read_runs([tmp_path], in_use=lambda path: held[path.name])
    assert [run.status for run in runs] == ["running", "killed", "unfinished"]
    assert "--resume" in runs[1].reason


def test_a_run_without_an_end_has_what_its_lines_hold_against_whom(tmp_path: Path) -> None:
    path = make_run(tmp_path / "a", status=None, lines=0)
    lines = [{"step": step, "blamed": {"3": {"minority": 2}}} for step in (1, 2)]
    (path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert read_run(path).facts["blamed"] == {"3": {"minority": 4}}


def test_runs_whose_names_begin_alike_are_called_by_their_settings(tmp_path: Path) -> None:
    for number, scheme in enumerate(("mols", "mols", "frc", "frc")):
        make_run(tmp_path / f"run-{number}", placement={"scheme": scheme}, run={"seed": number % 2})
    assert [group.label for group in group_runs(read_runs([tmp_path])[0])] == ["scheme = mols", "scheme = frc"]
