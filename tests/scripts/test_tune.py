"""scripts/tune.sh hands its request to `byzshield sweep --rank`."""

import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
TUNING = "configs/sweeps/byzshield_tuning.toml"


def tune(*words: str, folder: Path = REPOSITORY) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["bash", REPOSITORY / "scripts" / "tune.sh", *words], capture_output=True, text=True, cwd=folder)


def test_it_explains_itself() -> None:
    assert tune("--help").stdout.startswith("Usage: bash scripts/tune.sh")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "Usage: bash scripts/tune.sh"),
        (("--steps", "0", TUNING), "--steps needs a number of at least 1; got 0"),
        (("--steps",), "--steps needs a number of at least 1; got nothing"),
        (("--jobs", "2", TUNING), "unknown argument --jobs; flags of byzshield sweep stand behind SWEEP.toml"),
        (("nowhere.toml",), "nowhere.toml does not exist"),
        (("configs/sweeps/byzshield_alie_median.toml",), "ranking needs something to choose"),
    ],
)
def test_a_wrong_request_gets_status_2(words: tuple[str, ...], message: str) -> None:
    done = tune(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr


def test_steps_and_flags_reach_every_cell(tmp_path: Path) -> None:
    done = tune("--steps", "7", str(REPOSITORY / TUNING), "--preset", "laptop", "--dry-run", folder=tmp_path)
    assert done.stdout.splitlines()[-1] == "12 cells, 84 steps in all"
