"""What a sweep makes of the ends of its cells; here they are processes of a shell, which last no time."""

import csv
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from polling import wait_for
from synthetic_runs import make_run

from byzshield.cli.main import main
from byzshield.cli.sweep import TerminalSweepProgress
from byzshield.config import Cell, Sweep, load_sweep
from byzshield.errors import ConfigError, LostProcessError
from byzshield.plots.ranking import ranking
from byzshield.plots.runs import Run
from byzshield.runtime import sweep as runner
from byzshield.runtime.cells import LOG, outcome_of
from byzshield.runtime.sweep import run_sweep

Act = Callable[[Cell], str]


class Silent:
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.complete: int | None = None
        self.ends: list[str] = []

    def start(self, sweep: Sweep, *, complete: int, steps: int, jobs: int) -> None:
        self.complete = complete

    def advance(self, steps: int) -> None:
        pass

    def ended(self, run: Run, *, steps_left: int) -> None:
        self.ends.append(run.status)

    def finish(self) -> None:
        pass


@pytest.fixture
def sweep(tmp_path: Path) -> Sweep:
    (tmp_path / "base.toml").write_text(f"[run]\nsteps = 20\noutput_dir = '{tmp_path}'\n[attack]\nnum_byzantine = 3\n")
    grid = '[grid]\nsystem = [{label = "A"}, {label = "B", placement.scheme = "frc"}]\nrun.seed = [1, 2]\n'
    (tmp_path / "s.toml").write_text(f'base = "base.toml"\n{grid}')
    return load_sweep(tmp_path / "s.toml")


class Shells:
    """In place of the fork server: processes of a shell."""

    def __init__(self, log: Path, *, inherited: int) -> None:
        self._processes: dict[int, subprocess.Popen[bytes]] = {}

    def start(self, words: str, *, log: Path) -> int:
        with open(log, "wb") as file:
            process = subprocess.Popen(["sh", "-c", words], stderr=file)
        self._processes[process.pid] = process
        return process.pid

    def exit_status(self, number: int) -> int | None:
        return self._processes[number].poll()

    def close(self) -> None:
        for process in self._processes.values():
            process.terminate()
            process.wait()


@pytest.fixture
def cells_do(monkeypatch: pytest.MonkeyPatch) -> Callable[[Act], None]:
    """Takes a function that says, for a cell, which words of a shell its process runs."""

    def replace(act: Act) -> None:
        def start(cell: Cell, shells: Shells) -> int:
            words = act(cell)
            cell.directory.mkdir(exist_ok=True)
            return shells.start(words, log=cell.directory / LOG)

        monkeypatch.setattr(runner, "ForkServer", Shells)
        monkeypatch.setattr(runner, "start_cell", start)

    return replace


def train(cell: Cell) -> str:
    """Leaves behind what a run does."""
    if not cell.directory.exists():
        run = {"seed": cell.config.run.seed, "steps": 20}
        make_run(cell.directory, accuracy=0.5 + cell.config.run.seed / 10, run=run)
    return "exit 0"


def test_every_end_of_a_cell_is_a_row_with_its_reason(sweep: Sweep, cells_do: Callable[[Act], None]) -> None:
    a1, a2, b1, b2 = sweep.cells
    acts = {a2.name: "echo byzshield: aggregation: too few rows >&2; exit 2", b1.name: "kill -9 $$", b2.name: "exit 1"}
    cells_do(lambda cell: acts.get(cell.name) or train(cell))
    progress = Silent()
    results = run_sweep(sweep, jobs=2, progress=progress)
    assert [(cell["cell"], cell["status"], cell["reason"]) for cell in results["cells"]] == [
        (a1.name, "complete", ""),
        (a2.name, "refused", "aggregation: too few rows"),
        (b1.name, "failed", "its process was ended by SIGKILL (out of memory?)"),
        (b2.name, "failed", "its process ended with exit status 1"),
    ]
    assert sorted(progress.ends) == ["complete", "failed", "failed", "refused"]
    assert results == json.loads((sweep.directory / "results.json").read_text())


def test_rows_and_groups_have_settings_seeds_mean_and_standard_deviation(sweep: Sweep, cells_do: Callable[[Act], None]) -> None:
    cells_do(train)
    results = run_sweep(sweep, jobs=3, progress=Silent())
    assert {key: results["cells"][1][key] for key in ("settings", "seed", "final_accuracy", "corrupted_files", "steps")} == {
        "settings": {"system": "A", "run.seed": 2}, "seed": 2, "final_accuracy": 0.7, "corrupted_files": 3, "steps": 20
    }  # fmt: skip
    first, second = results["groups"]
    assert (first["settings"], second["settings"], first["seeds"]) == ({"system": "A"}, {"system": "B"}, [1, 2])
    assert first["final_accuracy"] == {"mean": pytest.approx(0.65), "std": pytest.approx(0.005**0.5), "min": 0.6, "max": 0.7}
    with open(sweep.directory / "results.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["system"], row["seed"], row["final_accuracy"]) for row in rows[:2]] == [("A", "1", "0.6"), ("A", "2", "0.7")]
    with open(sweep.directory / "groups.csv", newline="") as file:
        groups = list(csv.DictReader(file))
    assert float(groups[1]["final_accuracy_std"]) == pytest.approx(0.005**0.5)


def test_what_is_complete_is_not_run_again_and_what_failed_is(sweep: Sweep, cells_do: Callable[[Act], None]) -> None:
    failing = sweep.cells[2].name
    cells_do(lambda cell: "exit 1" if cell.name == failing else train(cell))
    run_sweep(sweep, jobs=1, progress=Silent())
    tried: list[str] = []

    def again(cell: Cell) -> str:
        tried.append(cell.name)
        (cell.directory / LOG).unlink()
        cell.directory.rmdir()
        return train(cell)

    cells_do(again)
    progress = Silent()
    results = run_sweep(sweep, jobs=1, progress=progress)
    assert (tried, progress.complete) == ([failing], 3)
    assert {cell["status"] for cell in results["cells"]} == {"complete"}


def test_a_cell_whose_folder_is_damaged_is_run_again(sweep: Sweep, cells_do: Callable[[Act], None]) -> None:
    cells_do(train)
    run_sweep(sweep, jobs=2, progress=Silent())
    summary = sweep.cells[1].directory / "summary.json"
    whole = summary.read_text()
    summary.write_text("{")
    progress = Silent()
    cells_do(lambda cell: f"echo '{whole}' > {cell.directory}/summary.json")
    results = run_sweep(sweep, jobs=1, progress=progress)
    assert (progress.complete, progress.ends) == (3, ["complete"])
    assert {cell["status"] for cell in results["cells"]} == {"complete"}


def test_ctrl_c_ends_the_running_cells_starts_no_other_and_keeps_the_results(
    sweep: Sweep, cells_do: Callable[[Act], None]
) -> None:
    processes = sweep.directory / "processes"
    cells_do(lambda cell: f"echo $$ >> {processes}; exec sleep 60")

    def interrupt() -> None:
        wait_for(lambda: processes.exists() and len(processes.read_text().splitlines()) == 2, "two cells")
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        run_sweep(sweep, jobs=2, progress=Silent())
    thread.join()
    numbers = processes.read_text().split()
    assert len(numbers) == 2
    assert not [number for number in numbers if Path("/proc", number).exists()]
    results = json.loads((sweep.directory / "results.json").read_text())
    assert {cell["status"] for cell in results["cells"]} == {"pending"}


def test_a_second_sweep_in_the_same_folder_is_refused(
    sweep: Sweep, cells_do: Callable[[Act], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "LOCK_SECONDS", 0.0)
    refusals: list[str] = []

    def meanwhile(cell: Cell) -> str:
        with pytest.raises(ConfigError) as caught:
            run_sweep(sweep, jobs=1, progress=Silent())
        refusals.append(str(caught.value))
        return train(cell)

    cells_do(meanwhile)
    run_sweep(sweep, jobs=1, progress=Silent())
    assert len(refusals) == 4
    assert f"is in use by process {os.getpid()} on " in refusals[0]


def test_a_folder_that_cannot_be_written_is_one_sentence(sweep: Sweep) -> None:
    sweep.directory.write_text("in the way")
    with pytest.raises(ConfigError, match="cannot be written"):
        run_sweep(sweep, jobs=1, progress=Silent())


def test_the_reason_of_a_failure_is_the_last_line_of_the_log(sweep: Sweep) -> None:
    cell = sweep.cells[0]
    cell.directory.mkdir(parents=True)
    (cell.directory / LOG).write_text("12:00:00 [simulate] WARNING x\nTraceback ...\nTypeError: no\n\ncut off")
    assert outcome_of(cell, 1) == ("failed", "TypeError: no")
    assert outcome_of(cell, 143) == ("failed", "its process was ended by SIGTERM")


def test_stdin_that_ends_ends_a_process_in_order() -> None:
    code = "import time, signal, sys\nfrom byzshield.cli.run_options import end_with_stdin\n"
    code += "signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))\nend_with_stdin()\nprint(flush=True)\ntime.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdout.readline()
            assert process.poll() is None
            process.stdin.close()
            assert process.wait(timeout=30) == 143
        finally:
            process.kill()


def test_the_command_shows_a_line_a_cell_ranks_and_says_what_went_wrong(
    tmp_path: Path, cells_do: Callable[[Act], None], capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "base.toml").write_text(f"[run]\nsteps = 20\noutput_dir = '{tmp_path}'\n")
    path = tmp_path / "s.toml"
    path.write_text('base = "base.toml"\n[grid]\noptimizer.lr = [0.5, 0.25, 9.0]\n')
    cells_do(lambda cell: train(cell) if cell.config.optimizer.lr < 1 else "echo byzshield: too fast >&2; exit 1")
    assert main(["sweep", str(path), "--rank", "--jobs", "1"]) == 1
    captured = capsys.readouterr()
    head, first, second, third = captured.err.splitlines()
    assert head == f"{tmp_path / 's'}: 3 cells, 0 of them complete; 1 at a time"
    assert first.startswith("1 of 3 cells: lr=0.5-")
    assert "test accuracy 0.600" in second
    assert third.endswith(": failed: too fast")
    assert "failed" in captured.out
    with open(tmp_path / "s" / "ranking.csv", newline="") as file:
        assert [(row["rank"], row["optimizer.lr"]) for row in csv.DictReader(file)] == [("1", "0.5"), ("2", "0.25"), ("3", "9.0")]
    assert main(["sweep", str(path), "--jobs", "1", "--set", "optimizer.lr=[9.0]"]) == 1


def test_a_sweep_of_nothing_but_refusals_has_status_2(
    sweep: Sweep, cells_do: Callable[[Act], None], capsys: pytest.CaptureFixture[str]
) -> None:
    cells_do(lambda cell: "echo byzshield: impossible >&2; exit 2")
    assert main(["sweep", f"{sweep.directory}.toml", "--json"]) == 2
    assert {cell["reason"] for cell in json.loads(capsys.readouterr().out)["cells"]} == {"impossible"}


def test_a_sweep_that_can_start_no_process_fails_in_one_line_and_keeps_its_results(
    sweep: Sweep, cells_do: Callable[[Act], None], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cells_do(train)

    def lost(shells: Shells, number: int) -> int:
        raise LostProcessError("the process that others are forked from has ended")

    monkeypatch.setattr(Shells, "exit_status", lost)
    assert main(["sweep", f"{sweep.directory}.toml", "--jobs", "1"]) == 1
    assert capsys.readouterr().err.splitlines()[1:] == ["byzshield: the process that others are forked from has ended"]
    results = json.loads((sweep.directory / "results.json").read_text())
    assert [cell["status"] for cell in results["cells"]] == ["complete", *["pending"] * 3]


def test_the_line_in_a_terminal_has_the_time_that_is_left(
    sweep: Sweep, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [0.0]
    monkeypatch.setattr("byzshield.cli.sweep.time.monotonic", lambda: now[0])
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    progress = TerminalSweepProgress()
    progress.start(sweep, complete=1, steps=60, jobs=1)
    now[0] = 200.0
    progress.advance(20)
    progress.ended(Run(name="x", settings={}, status="failed", reason="y"), steps_left=30)
    now[0] = 300.0
    progress.advance(0)
    lines = capsys.readouterr().err.replace("\r\x1b[K", "\n").splitlines()
    assert [line for line in lines if line][-3:] == [
        "1 of 4 cells; about 7 min left",
        "x: failed: y",
        "2 of 4 cells, 1 failed or refused; about 2 min left",
    ]


def test_a_cell_without_an_accuracy_has_not_failed_and_what_is_cut_off_says_how_to_go_on(
    sweep: Sweep, capsys: pytest.CaptureFixture[str]
) -> None:
    progress = TerminalSweepProgress()
    progress.start(sweep, complete=0, steps=60, jobs=1)
    progress.ended(Run(name="x", settings={}, facts={"test_loss": 0.25}), steps_left=0)
    progress.stopped()
    _, ended, stopped = capsys.readouterr().err.splitlines()
    assert ended == "1 of 4 cells: x: test loss 0.250"
    assert stopped == "1 of 4 cells have ended; the same command goes on with the others, from where they are"


def any_results(losses: dict[tuple[str, float], float | None]) -> dict[str, Any]:
    groups = [
        {
            "settings": {"system": system, "optimizer.lr": lr},
            "train_loss": None if loss is None else {"mean": loss},
            "seeds": [1],
            "statuses": {"complete": 1},
        }
        for (system, lr), loss in losses.items()
    ]
    return {"axes": ["system", "optimizer.lr", "run.seed"], "groups": groups}


def test_tuning_ranks_by_training_loss_within_each_system_and_what_diverged_comes_last() -> None:
    losses = {("A", 0.1): None, ("A", 0.05): 2.0, ("A", 0.025): 1.0, ("B", 0.1): 0.5, ("B", 0.05): 0.7}
    rows = ranking(any_results(losses))
    assert [(row["system"], row["rank"], row["optimizer.lr"], row["train_loss"]) for row in rows] == [
        ("A", 1, 0.025, 1.0),
        ("A", 2, 0.05, 2.0),
        ("A", 3, 0.1, None),
        ("B", 1, 0.1, 0.5),
        ("B", 2, 0.05, 0.7),
    ]


def test_ranking_without_anything_to_tune_is_refused() -> None:
    with pytest.raises(ConfigError, match="optimizer or schedule"):
        ranking({"axes": ["run.seed"], "groups": []})
