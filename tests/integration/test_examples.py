"""What examples/ shows, as it stands there."""

import json
import re
import subprocess
import sys
from pathlib import Path
from shutil import copytree

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


def python(*words: str, cwd: Path) -> str:
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, timeout=240, cwd=cwd)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_ones_own_network_data_and_loss_are_trained_in_one_process(tmp_path: Path) -> None:
    output = python(str(EXAMPLES / "own_training.py"), cwd=tmp_path)
    accuracy = re.match(r"accuracy of the model that came back: (.*)", output)
    assert accuracy is not None
    assert float(accuracy[1]) > 0.9
    assert "corrupted files a step: 3 of 25" in output


def test_a_model_of_bytes_learns_the_text_that_python_ships(tmp_path: Path) -> None:
    folder = copytree(EXAMPLES / "language_model", tmp_path / "language_model")
    small = [word for key in ("run.steps=40", "model.width=16", "data.batch_size=75") for word in ("--set", key)]
    python("-m", "byzshield", "simulate", "run.toml", *small, "--set", "optimizer.lr=0.02", cwd=folder)
    summary = json.loads((folder / "runs" / "language-model" / "summary.json").read_text())
    assert summary["test_loss"] < 3.1  # nats a byte; 3.26 is what the bytes' frequencies alone are worth, and 5.5 the start
    assert summary["test_bits_per_byte"] == pytest.approx(summary["test_loss"] / 0.693147, rel=1e-3)
    assert 0.1 < summary["test_accuracy"] < 1
