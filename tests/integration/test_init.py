"""`byzshield init`: what it writes runs as written, from another folder, in every process that a command starts."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from byzshield.cli.main import main
from byzshield.config import load

PROGRAMS = Path(sys.executable).parent
SWEEP = 'base = "mine/run.toml"\n[grid]\n"run.seed" = [1]\n'
QUICK = ["--set", "run.steps=2", "--set", "run.eval_every=0", "--set", "run.checkpoint_every=0"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder of the test, with the project in its folder mine."""
    monkeypatch.chdir(tmp_path)
    assert main(["init", "mine"]) == 0
    return tmp_path


def run(*words: str, environment: dict[str, str] | None = None) -> str:
    """Runs a program of this environment in the current folder, as a user does, and returns what it prints."""
    command = [str(PROGRAMS / words[0]), *words[1:]]
    clean = {name: value for name, value in (environment or os.environ).items() if name != "PYTHONPATH"}
    done = subprocess.run(command, capture_output=True, text=True, env=clean)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_project_is_trained_and_evaluated_by_the_command(folder: Path) -> None:
    assert "results in runs/mine" in run("byzshield", "simulate", "mine/run.toml", *QUICK)
    assert run("byzshield", "evaluate", "runs/mine").startswith("step 2: ")


def test_the_cells_of_a_sweep_find_it(folder: Path) -> None:
    (folder / "sweep.toml").write_text(SWEEP)
    assert "complete" in run("byzshield", "sweep", "sweep.toml", *QUICK, "--json")


@pytest.mark.mpi
def test_the_ranks_of_a_job_find_it(folder: Path, mpi_environment: dict[str, str]) -> None:
    words = ["mpirun", "-n", "2", "python", "-m", "mpi4py", "-m", "byzshield", "train", "mine/run.toml", *QUICK]
    assert "results in runs/mine" in run(*words, environment=mpi_environment)


def test_its_own_tests_pass(folder: Path) -> None:
    assert " passed" in run("python", "-m", "pytest", "-q", "mine")


def test_the_run_has_the_name_of_the_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    odd = tmp_path / 'a "b" \\c'
    odd.mkdir()
    assert main(["init", str(odd)]) == 0
    assert load(odd / "run.toml").run.name == odd.name
    assert f"next: byzshield simulate '{odd}/run.toml'\n" in capsys.readouterr().out


def test_what_is_there_is_not_overwritten(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (folder / "mine" / "run.toml").read_bytes()
    for taken in ("mine", "mine/run.toml"):
        assert main(["init", taken]) == 2
        assert capsys.readouterr().err == f"byzshield: {taken} is there and is no empty folder: name another one\n"
    assert main(["init", "mine/run.toml/below"]) == 2
    assert capsys.readouterr().err == "byzshield: mine/run.toml/below: Not a directory\n"
    assert (folder / "mine" / "run.toml").read_bytes() == before
