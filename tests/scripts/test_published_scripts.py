"""run_pytorch.sh and evaluate_pytorch.sh, and the time limit of a job."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from byzshield.config import load
from byzshield.runtime import simulate

Weights = dict[str, torch.Tensor]
FLAGS = [
    "--approach=baseline",
    "--mode=coord-median",
    "--worker-fail=1",
    "--err-mode=constant",
    "--batch-size=20",
    "--max-steps=2",
    "--train-dir=runs/theirs",
    "--set",
    "data.name=mnist5k",
    "--set",
    "model.name=mlp",
]


def script(checkout: Path, name: str, *words: str) -> subprocess.CompletedProcess[str]:
    command = ["bash", f"{checkout}/scripts/{name}", *words]
    return subprocess.run(command, cwd=checkout, capture_output=True, text=True, timeout=250, stdin=subprocess.DEVNULL)


@pytest.mark.mpi
@pytest.mark.timeout(280)
def test_the_published_flags_start_an_mpi_job_that_computes_what_the_simulator_does(
    checkout: Path,
    tmp_path: Path,
    weights_of: Callable[[Path], Weights],
    same_weights: Callable[[Weights, Weights], bool],
) -> None:
    (checkout / "hosts_address_local").write_text("localhost:16")  # as published
    done = script(checkout, "run_pytorch.sh", "--hostfile=hosts_address_local", "--n=4", *FLAGS)
    assert done.returncode == 0, done.stdout + done.stderr
    run = checkout / "runs" / "theirs"
    config = load(run / "config.toml", [f"run.output_dir={tmp_path}"])
    assert (config.cluster.num_workers, config.data.batch_size) == (3, 60)
    simulated, _ = simulate(config)
    assert same_weights(weights_of(run), weights_of(simulated.path))
    evaluated = script(checkout, "evaluate_pytorch.sh", "--model-dir=runs/theirs", "--eval-freq", "2", "--last-step=2")
    assert evaluated.returncode == 0, evaluated.stderr
    assert evaluated.stdout.startswith("step 2: test accuracy 0.")
    assert ", top-5 0." in evaluated.stdout


@pytest.mark.parametrize(
    ("name", "words", "complaint"),
    [
        ("run_pytorch.sh", ["--n", "1", *FLAGS], "--n must be at least 2"),
        ("run_pytorch.sh", [*FLAGS, "--n"], "--n needs a number"),
        ("run_pytorch.sh", ["--hostfile=/nowhere/hosts", *FLAGS], "there is no hostfile /nowhere/hosts"),
        ("run_pytorch.sh", [*FLAGS, "--worker-fail=8"], "to see it fail, use --set aggregation.num_corrupted=7"),
        ("run_pytorch.sh", ["--mode=median"], "--mode: there is no 'median'; did you mean 'coord-median'?"),
        ("run_pytorch.sh", ["--local", "--time-limit=soon", *FLAGS], "--time-limit needs a number of minutes; got soon"),
        ("evaluate_pytorch.sh", ["60", "3", "0.05"], "it takes PROJECT_INDEX Q LR GAMMA and perhaps LAST_STEP"),
        ("evaluate_pytorch.sh", ["60", "3", "0.05", "0.96"], "BYZSHIELD60/output_q_3_lr_0.05_gamma_0.96"),
        ("evaluate_pytorch.sh", ["--model-dir", "runs", "--eval-freq", "0"], "--eval-freq must be at least 1"),
        ("evaluate_pytorch.sh", ["--model-dir", "runs", "--last-step", "8"], "--last-step 8 comes before the first evaluation"),
        ("evaluate_pytorch.sh", ["--last", "3"], "there is no flag --last"),
    ],
)
def test_a_wrong_request_is_one_line_and_status_2(checkout: Path, name: str, words: list[str], complaint: str) -> None:
    done = script(checkout, name, *words)
    assert done.returncode == 2
    assert complaint in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("name", ["run_pytorch.sh", "evaluate_pytorch.sh"])
def test_each_script_explains_itself(checkout: Path, name: str) -> None:
    done = script(checkout, name, "--help")
    assert done.returncode == 0
    assert done.stdout.startswith(f"Usage: bash scripts/{name}")


def test_a_job_is_told_to_end_once_its_time_is_up(checkout: Path) -> None:
    job = 'trap "echo ends; exit 143" USR1; while true; do sleep 0.05; done'
    code = f"set -eu; . {checkout}/scripts/lib/job.sh; limit_time 0.005; \"${{time_limit[@]}}\" bash -c '{job}'"
    done = subprocess.run(["bash", "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.returncode) == ("ends\n", 143)
