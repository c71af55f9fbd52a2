"""A real sweep: killed, started again, and equal to runs that nobody disturbed."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from polling import wait_for

from byzshield.cli.main import main
from byzshield.config import RunConfig, dump, load_sweep
from byzshield.runtime import simulate
from byzshield.runtime.metrics import read_metrics

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def sweep_file(tiny_run: Callable[..., RunConfig], tmp_path: Path) -> Path:
    (tmp_path / "base.toml").write_text(dump(tiny_run(run={"steps": 60, "checkpoint_every": 4}, optimizer={"momentum": 0.9})))
    path = tmp_path / "two_by_two.toml"
    path.write_text('base = "base.toml"\n[grid]\nrun.seed = [1, 2]\nattack.num_byzantine = [3, 7]\n')
    return path


def test_a_killed_sweep_goes_on_and_ends_with_the_same_weights(
    sweep_file: Path,
    weights_of: Callable[[Path], Any],
    same_weights: Callable[..., bool],
    capsys: pytest.CaptureFixture[str],
) -> None:
    sweep = load_sweep(sweep_file)
    possible = [cell for cell in sweep.cells if cell.settings["attack.num_byzantine"] == 3]
    command = [sys.executable, "-m", "byzshield", "sweep", str(sweep_file), "--jobs", "1"]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, cwd=REPOSITORY) as process:
        try:
            wait_for(lambda: len(read_metrics(possible[0].directory / "metrics.jsonl")) >= 6, "6 steps", seconds=200)
        finally:
            process.send_signal(signal.SIGKILL)
    assert not (possible[0].directory / "summary.json").exists()
    begun = len(read_metrics(possible[0].directory / "metrics.jsonl"))

    assert main(["sweep", str(sweep_file), "--jobs", "2", "--json"]) == 0  # it waits for the cell, which ends with its pipe
    captured = capsys.readouterr()
    results = json.loads(captured.out)
    assert results == json.loads((sweep.directory / "results.json").read_text())
    assert [cell["status"] for cell in results["cells"]] == ["complete", "refused", "complete", "refused"]
    assert "Median against 14 corrupted rows" in results["cells"][1]["reason"]
    assert "4 cells, 0 of them complete; 2 at a time" in captured.err
    assert len(captured.err.splitlines()) == 5
    assert 6 <= begun < 60
    first = possible[0]
    lines = read_metrics(first.directory / "metrics.jsonl")
    assert [line["step"] for line in lines] == list(range(1, 61))
    whole, _ = simulate(replace(first.config, run=replace(first.config.run, name="undisturbed")))
    assert same_weights(weights_of(whole.path), weights_of(first.directory))

    page = sweep_file.parent / "page.html"
    assert main(["report", str(sweep.directory), "--output", str(page)]) == 0
    head, *rows = capsys.readouterr().out.splitlines()
    assert "seed" in head
    assert rows[0].startswith("num_byzantine = 3  mols")
    assert " ± " in rows[0]
    assert "  refused  " in rows[1]


def test_a_dry_run_lists_the_cells_and_a_mistake_in_one_stops_all(
    sweep_file: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["sweep", str(sweep_file), "--dry-run", "--json"]) == 0
    cells = json.loads(capsys.readouterr().out)["cells"]
    assert [cell["settings"] for cell in cells] == [
        {"run.seed": seed, "attack.num_byzantine": q} for seed in (1, 2) for q in (3, 7)
    ]
    assert ["against 14 corrupted rows" in cell["reason"] for cell in cells] == [False, True, False, True]
    assert main(["sweep", str(sweep_file), "--dry-run", "--set", "run.seed=1", "--set", "attack.zz=3"]) == 0
    first, _, last = capsys.readouterr().out.splitlines()
    assert first.endswith(": impossible: attack.zz: ALIE has no such keyword; did you mean 'z'?")
    assert last == "2 cells, 120 steps in all; 2 impossible"
    assert main(["sweep", str(sweep_file), "--set", "run.seed=[1, -1]"]) == 2
    assert "seed=-1" in capsys.readouterr().err
    assert main(["sweep", str(sweep_file), "--jobs", "0"]) == 2
    assert main(["sweep", str(sweep_file), "--rank"]) == 2
    assert not (tmp_path / "runs").exists()
