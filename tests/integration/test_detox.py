"""`byzshield detox` from the flags to the results, and the published code's checkpoints."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import published_files
import pytest
import torch

from byzshield.cli.main import main
from byzshield.config import load
from byzshield.data import mnist
from byzshield.models import LeNetByzShield
from byzshield.runtime.metrics import read_metrics

Weights = dict[str, torch.Tensor]
FLAGS = (
    "--approach mols --group-size 3 --worker-fail 3 --byzantine-gen hard_coded --mode coord-median --err-mode foe "
    "--network LeNet --dataset MNIST --batch-size 25 --gamma 0.5 --lr-step 2 --momentum=0.9"
)
PUBLISHED_NAMES = ("conv1", "conv2", "fc1", "fc2")


@pytest.fixture
def detox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Returns the command, which finds small files in the format of MNIST; its run goes into the folder `job`."""
    published_files.write_mnist(tmp_path / "MNIST" / "raw", mnist.MNIST_MD5, monkeypatch)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def run(*words: str, steps: int = 3) -> int:
        command = ["detox", *FLAGS.split(), "--train-dir", str(tmp_path / "job"), "--set", f"data.root={tmp_path}"]
        return main([*command, "--max-steps", str(steps), *words])

    return run


def published_weights() -> Weights:
    """A LeNet's weights under the published names."""
    state = LeNetByzShield().state_dict()
    names = [f"{layer}.{part}" for layer in PUBLISHED_NAMES for part in ("weight", "bias")]
    return dict(zip(names, state.values(), strict=True))


def published_checkpoint(folder: Path, step: int, weights: Any) -> None:
    folder.mkdir(exist_ok=True)
    torch.save(weights, folder / f"model_step_{step}", _use_new_zipfile_serialization=False)  # as torch 1.0 did


def test_a_dry_run_prints_the_run_file_of_the_run(
    detox: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert detox("--dry-run") == 0
    printed = tmp_path / "run.toml"
    printed.write_text(capsys.readouterr().out)
    assert not (tmp_path / "job").exists()
    assert detox("--dry-run", "--worker-fail", "9") == 2
    assert "to see it fail, use --set aggregation.num_corrupted=12" in capsys.readouterr().err
    (tmp_path / "job").mkdir()  # as the published scripts do before they start
    assert detox() == 0
    assert load(printed, ["run.module_dir=here"]) == load(tmp_path / "job" / "config.toml", ["run.module_dir=here"])
    assert main(["simulate", str(printed), "--set", "run.name=again"]) == 0
    assert read_metrics(tmp_path / "again" / "metrics.jsonl")[-1]["lr"] == 0.005
    first, second = (json.loads((tmp_path / name / "summary.json").read_text()) for name in ("job", "again"))
    assert first["test_loss"] == second["test_loss"]
    assert (first["corrupted_files_max"], first["num_files"], first["num_workers"]) == (3, 25, 15)


def test_a_run_goes_on_behind_its_newest_checkpoint_as_if_it_had_not_ended(
    detox: Callable[..., int],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    weights_of: Callable[[Path], Weights],
    same_weights: Callable[[Weights, Weights], bool],
) -> None:
    assert detox(steps=2) == 0
    assert detox("--resume", "1", steps=3) == 2
    assert "job has no model_step_1, and its newest checkpoint is that of step 2" in capsys.readouterr().err
    assert detox("--resume", "2", steps=3) == 0
    assert detox("--set", "run.name=whole", steps=3) == 0
    assert same_weights(weights_of(tmp_path / "job"), weights_of(tmp_path / "whole"))


def test_a_run_starts_behind_the_published_codes_weights(detox: Callable[..., int], tmp_path: Path) -> None:
    published_checkpoint(tmp_path / "job", 4, published_weights())
    assert detox("--checkpoint-step=4", steps=6) == 0
    lines = read_metrics(tmp_path / "job" / "metrics.jsonl")
    assert [(line["step"], line["lr"]) for line in lines] == [(5, 0.01 * 0.5**2), (6, 0.01 * 0.5**3)]
    run = load(tmp_path / "job" / "config.toml").run
    assert (run.start_from, run.start_step) == (str(tmp_path / "job" / "model_step_4"), 4)
    assert detox("--checkpoint-step=4", "--resume", steps=6) == 0  # it is done already: our newest checkpoint goes before


def test_the_published_codes_checkpoints_are_evaluated(
    detox: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "theirs"
    weights = published_weights()
    weights["fc2.weight"].zero_()
    for best, step in ((3, 52), (7, 104), (3, 156)):
        weights["fc2.bias"].copy_(torch.arange(10) / 100).index_fill_(0, torch.tensor(best), 1.0)
        published_checkpoint(folder, step, weights)
    command = ["evaluate", str(folder), "--set", f"data.root={tmp_path}"]
    assert main(command) == 2
    assert "name --network and --dataset of its files model_step_N" in capsys.readouterr().err
    command += ["--network", "LeNet", "--dataset", "MNIST"]
    assert main([*command, "--json", "--steps", "52:104:52"]) == 0
    rows = json.loads(capsys.readouterr().out)["checkpoints"]
    # The test set has each of the ten labels twice, and all images get the same logits: the greatest are 3 (or 7), 9, 8, 6 ...
    assert [(row["step"], row["test_accuracy"], row["test_top5_accuracy"]) for row in rows] == [(52, 0.1, 0.5), (104, 0.1, 0.5)]
    assert main([*command, "--steps", "104::52"]) == 0
    assert [line.partition(":")[0] for line in capsys.readouterr().out.splitlines()] == ["step 104", "step 156"]
    assert main([*command, "--steps", "156,208"]) == 2
    assert "no checkpoint of step 208; it has those of 52, 104, 156; --watch waits for one" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no file of torch", "is no file of weights alone"),
        ({"conv1.weight": torch.zeros(20, 1, 5, 5)}, "belongs to another network: 1 tensors do not fit LeNetByzShield"),
        ({"conv1.weight": "text"}, "holds no state_dict: 'conv1.weight' is no tensor"),
        ([1], "holds no state_dict"),
        ({"network": LeNetByzShield}, "is no file of weights alone"),  # a class: code would run to make it
    ],
)
def test_a_file_that_is_no_such_checkpoint_gets_one_line(
    content: Any, message: str, detox: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if isinstance(content, bytes):
        (tmp_path / "job").mkdir()
        (tmp_path / "job" / "model_step_1").write_bytes(content)
    else:
        published_checkpoint(tmp_path / "job", 1, content)
    assert detox("--resume", "1") == 2
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("byzshield: ")]
    assert len(errors) == 1
    assert f"model_step_1 {message}" in errors[0]
    assert not (tmp_path / "job" / "config.toml").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--approach", "baseline"], "--workers: is required with --approach baseline"),
        (["--mode", "krum"], "--mode: krum could not run there with --approach mols"),
        (["--set", "run.start_step=2"], "run.start_step: needs the weights of that step in run.start_from"),
        (["--set", "run.start_from=x", "--set", "run.start_step=3"], "run.start_step: must be less than run.steps = 3; got 3"),
        (["--set", "attack.epsilonn=3"], "did you mean 'epsilon'?"),
        (["--worker-fail", "9"], "to see it fail, use --set aggregation.num_corrupted=12"),
        (
            ["--resume", "9", "--train-dir", "nowhere", "--dry-run"],
            "--checkpoint-step: must be less than the 3 steps of the run; got 9",
        ),
        (["--resume", "2", "--train-dir", "nowhere"], "--resume: nowhere has no model_step_2 and no checkpoint of ours"),
    ],
)
def test_a_wrong_request_gets_one_line_and_status_2(
    words: list[str], message: str, detox: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert detox(*words) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines()[-1].startswith("byzshield: ")
    assert message in captured.err
