"""Weights that other programs load: from an export, and from the checkpoint itself."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from byzshield.cli.main import main
from byzshield.config import RunConfig
from byzshield.runtime import RunDirectory, simulate
from byzshield.runtime.export import export_weights

Maker = Callable[..., RunConfig]
TESTS = Path(__file__).parents[1]
# A program that has the network and nothing of byzshield, which it cannot even import.
OTHER_PROGRAM = """
import json, sys
sys.modules["byzshield"] = None
sys.path.insert(0, {tests!r})
import torch
from normed import Normed

def output(weights):
    module = Normed(image_shape=(1, 8, 8), num_classes=10).eval()
    module.load_state_dict(weights)
    torch.manual_seed(1)
    return module(torch.randn(3, 1, 8, 8)).tolist()

from safetensors import safe_open
from safetensors.torch import load_file
exported, safe, checkpoint = sys.argv[1:]
with safe_open(safe, "pt") as file:
    about = file.metadata()
print(json.dumps({{
    "torch": output(torch.load(exported, weights_only=True)),
    "safetensors": output(load_file(safe)),
    "checkpoint": output(torch.load(checkpoint, weights_only=True)["model"]),
    "about": about,
}}))
"""


@pytest.fixture
def trained(tiny_run: Maker) -> RunDirectory:
    """A run of two checkpoints, whose network has BatchNorm."""
    run = {"steps": 4, "checkpoint_every": 2}
    directory, _ = simulate(tiny_run(run=run, model={"name": "normed:Normed"}))
    return directory


def test_another_program_loads_what_is_exported_and_the_model_of_a_checkpoint(
    trained: RunDirectory, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    safe = tmp_path / "mine.safetensors"
    assert main(["export", str(trained.path)]) == 0
    assert main(["export", str(trained.path), "--format", "safetensors", "--output", str(safe)]) == 0
    exported = trained.path / "weights_step_4.pt"
    lines = capsys.readouterr().out.splitlines()
    assert [text.partition(":")[0] for text in lines] == [str(exported), str(safe)]
    assert all(text.endswith(": 9 tensors, 643 numbers, of step 4") for text in lines)
    command = [sys.executable, "-I", "-c", OTHER_PROGRAM.format(tests=str(TESTS)), str(exported), str(safe)]
    done = subprocess.run([*command, str(trained.checkpoints / "step_4.pt")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["torch"] == found["safetensors"] == found["checkpoint"]
    assert found["about"] == {"format": "pt", "run": "tiny", "step": "4"}
    weights = torch.load(exported, weights_only=True)
    assert not torch.equal(weights["norm.running_mean"], torch.zeros(8))
    assert exported.stat().st_size < 10_000


def test_the_checkpoint_of_any_step_can_be_exported(trained: RunDirectory) -> None:
    assert main(["export", str(trained.path), "--step", "2"]) == 0
    old = torch.load(trained.path / "weights_step_2.pt", weights_only=True)
    new = torch.load(trained.checkpoints / "step_4.pt", weights_only=True)["model"]
    assert not torch.equal(old["output.weight"], new["output.weight"])


def test_what_is_missing_or_damaged_is_one_line(
    trained: RunDirectory, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(trained.path)
    (tmp_path / "empty").mkdir()
    newest = trained.checkpoints / "step_4.pt"
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 1
    newest.write_bytes(content)
    checksum = f"byzshield: {newest} is damaged or cut short: its content does not match its checksum"
    for words, expected in {
        (str(tmp_path / "none"),): f"byzshield: {tmp_path / 'none'} is not a run's directory",
        (str(tmp_path / "empty"),): f"byzshield: {tmp_path / 'empty'} has no checkpoint",
        (path, "--step", "3"): f"byzshield: {path} has no checkpoint of step 3; it has those of 2, 4",
        (path,): f"{checksum}; --step 2 takes the one before it",
        (path, "--step", "4"): checksum,
    }.items():
        assert main(["export", *words]) == 2
        output = capsys.readouterr()
        assert (output.out, output.err) == ("", f"{expected}\n")
    assert not list(trained.path.glob("weights*"))


def test_an_export_that_finds_no_place_is_one_line(trained: RunDirectory, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", str(trained.path), "--output", "/dev/null/weights.pt"]) == 1
    assert capsys.readouterr().err == "byzshield: /dev/null/weights.pt cannot be written: Not a directory\n"


@pytest.mark.parametrize(("form", "load"), [("torch", torch.load), ("safetensors", load_file)])
def test_weights_that_share_memory_or_lie_across_it_are_stored_each_by_itself(form: str, load: Any, tmp_path: Path) -> None:
    """As those of a network do whose last layer is its first one, or that are a small part of a large tensor."""
    large = torch.arange(100_000.0)
    tied = large[:6].view(2, 3)
    weights = {"first": tied, "last": tied, "across": tied.t(), "number": torch.tensor(3)}
    export_weights(tmp_path / "file", weights, form=form, about={})
    found = load(tmp_path / "file")
    assert found.keys() == weights.keys()
    assert all(torch.equal(found[name], weights[name]) for name in weights)
    assert (tmp_path / "file").stat().st_size < 10_000
