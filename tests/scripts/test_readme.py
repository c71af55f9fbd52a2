"""The commands of the README are run as they stand there."""

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

REPOSITORY = Path(__file__).parents[2]
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```bash\n(.*?)```", README, flags=re.DOTALL)
Weights = dict[str, torch.Tensor]
TWO_COMMANDS = ("bash scripts/quickstart.sh", "bash scripts/test.sh")
pytestmark = pytest.mark.timeout(290)


def test_the_two_commands_stand_first_and_ci_runs_the_second() -> None:
    lines = [line.split("#")[0].strip() for line in BLOCKS[0].splitlines()]
    assert tuple(line for line in lines if line) == TWO_COMMANDS
    assert TWO_COMMANDS[1].removeprefix("bash ") in (REPOSITORY / ".ci" / "run").read_text(encoding="utf-8")


@pytest.mark.parametrize("script", ["quickstart.sh", "test.sh"])
def test_each_script_explains_itself(script: str) -> None:
    done = subprocess.run(["bash", REPOSITORY / "scripts" / script, "--help"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"Usage: bash scripts/{script}")


def test_the_lines_of_python_run(capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    exec(code, {})
    assert re.fullmatch(r"tensor\(\[.*\]\) 3\n", capsys.readouterr().out)


@pytest.mark.mpi
def test_the_quickstart_trains_as_the_simulator_and_ends_with_the_table_and_the_report(
    tmp_path: Path, weights_of: Callable[[Path], Weights], same_weights: Callable[[Weights, Weights], bool]
) -> None:
    settings = ("run.steps=2", "run.eval_every=1", "run.seed=1")
    command = ["bash", REPOSITORY / "scripts" / "quickstart.sh", *(word for setting in settings for word in ("--set", setting))]
    runs = tmp_path / "runs"
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "RUNS": str(runs)}, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^step 1 of 2, .+ left: loss .*, test accuracy 0\.", done.stderr, flags=re.MULTILINE)
    assert "5 of 5 cells" in done.stderr
    head, *rows, report = done.stdout.splitlines()[-8:]
    assert head.split()[:2] == ["run", "scheme"]
    assert [(re.split("  +", row)[:2], re.findall(r"\d+ of \d+ \(\d+%\)", row)) for row in rows] == [
        (["quickstart", "mols"], ["5 of 25 (20%)"]),
        (["MOLS", "mols"], ["5 of 25 (20%)"]),
        (["groups", "frc"], ["2 of 5 (40%)"]),
        (["none", "baseline"], ["4 of 15 (27%)"]),
        (["groups, mean", "frc"], ["0 of 5 (0%)"]),
        (["none, mean", "baseline"], ["1 of 15 (7%)"]),
    ]
    assert Path(report.removeprefix("report: ")).is_file()
    (simulated,) = (runs / "quickstart-sweep").glob("MOLS-*")
    assert same_weights(weights_of(runs / "quickstart"), weights_of(simulated))


@pytest.mark.mpi
def test_the_other_commands_run_as_they_stand(tmp_path: Path) -> None:
    for name in (".venv", "configs", "scripts"):
        (tmp_path / name).symlink_to(REPOSITORY / name)
    script = "set -euo pipefail\n" + "\n".join(BLOCKS[1:])
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "runs").iterdir())) == script.count("run.name=")
