"""Real mpirun jobs of which one rank runs hostile code, on both transports of Open MPI."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from drowsy import drowsy
from polling import wait_for

from byzshield.config import RunConfig, dump
from byzshield.runtime import simulate
from byzshield.runtime.metrics import read_metrics

pytestmark = [pytest.mark.mpi, pytest.mark.timeout(280)]
Maker = Callable[..., RunConfig]
MPIRUN = str(Path(sys.executable).parent / "mpirun")
ULFM = ["--with-ft", "ulfm"]
HOSTILE = {"10", "11", "12", "13", "14"}  # the workers of rank 3: one Latin square, so no file loses two copies
WIDE = {"name": "mlp", "hidden": [300]}  # its gradient is a message that MPI does not send before its receiver asks for it
MIB = 1 << 20
NUM_FILES = 25  # of each step
STEPS_AFTER = 5  # after the attacks, before a job is stopped
MOST_STEPS = 300  # that such a job takes where nobody stops the attacks
STOPPED = 143


def with_a_hostile_rank(
    config: RunConfig,
    tmp_path: Path,
    environment: dict[str, str],
    words: list[str],
    *flags: str,
    until: str = "",
    also: Callable[[], bool] = lambda: True,
) -> tuple[int, str, dict[str, Any]]:
    """Runs ranks 0 to 2 of a job, and as rank 3 tests/hostile_rank.py; returns status, standard error and summary.json.

    Some steps after it has said `until` on standard error, and `also` is true, the job is stopped: so it lasts as long as is
    needed on this machine, and no longer.
    """
    run_file, errors = tmp_path / f"{config.run.name}.toml", tmp_path / f"{config.run.name}.errors"
    directory = tmp_path / "runs" / config.run.name
    run_file.write_text(dump(config))
    python = [sys.executable, "-m", "mpi4py", "-m"]
    ours = [*python, "hasty", "train", str(run_file), "--overwrite"]
    command = [MPIRUN, *flags, "--mca", "pml", "ob1", "-n", "3", *ours, ":", "-n", "1", *python, "hostile_rank", *words]

    def steps() -> int:
        return len(read_metrics(directory / "metrics.jsonl"))

    with errors.open("w") as file:
        nothing = subprocess.DEVNULL
        job = subprocess.Popen(command, env=environment, stdin=nothing, stdout=nothing, stderr=file, cwd=tmp_path)
    try:
        if until:
            wait_for(lambda: job.poll() is not None or (until in errors.read_text(errors="replace") and also()), until, 200)
            seen = steps()
            wait_for(lambda: job.poll() is not None or steps() >= seen + STEPS_AFTER, "steps after the attacks", 60)
            job.send_signal(signal.SIGUSR1)  # mpirun passes it on to every rank
        status = job.wait(240)
    finally:
        job.kill()
        job.wait()
    summary = directory / "summary.json"
    return status, errors.read_text(errors="replace"), json.loads(summary.read_text()) if summary.exists() else {}


@pytest.fixture
def honest_weights(tiny_run: Maker, weights_of: Callable[[Path], dict[str, torch.Tensor]]) -> Callable[[int], Any]:
    """Returns a function that trains so many steps without anybody hostile, and returns the weights."""

    def train(steps: int) -> dict[str, torch.Tensor]:
        directory, _ = simulate(tiny_run(run={"name": "honest", "steps": steps}, model=WIDE, cluster={"chunk_elements": 1 << 18}))
        return weights_of(directory.path)

    return train


def held_against(summary: dict[str, Any]) -> set[str]:
    """The workers against which there is proof, or who are lost; others may have been slow while the server was flooded."""
    held = ("malformed", "payload_mismatch", "lost", "minority")
    return {worker for worker, counts in summary["blamed"].items() if any(counts[cause] for cause in held)}


def hostile_run(tiny_run: Maker, *, steps: int, round_timeout: float) -> RunConfig:
    cluster = {"chunk_elements": 1 << 18, "round_timeout": round_timeout}
    return tiny_run(run={"name": "hostile", "steps": steps}, model={**WIDE, **drowsy(0.004)}, cluster=cluster)


@pytest.mark.parametrize(("btl", "most_mib", "most_undecided"), [("self,sm", 64, 0), ("self,tcp", 400, 10 * NUM_FILES)])
def test_floods_and_messages_of_impossible_sizes_change_nothing_but_their_sender(
    tiny_run: Maker,
    tmp_path: Path,
    mpi_environment: dict[str, str],
    honest_weights: Callable[[int], Any],
    weights_of: Callable[[Path], dict[str, torch.Tensor]],
    same_weights: Callable[..., bool],
    btl: str,
    most_mib: int,
    most_undecided: int,
) -> None:
    config = hostile_run(tiny_run, steps=MOST_STEPS, round_timeout=60.0)
    weights, lost = tmp_path / "weights", "is lost with rank 3: it has sent more than an honest rank ever would"

    def weighed_twice() -> bool:
        return weights.exists() and weights.read_text().count("\n") == 2

    floods = ["flood_workers", "flood_world", "flood_channel", "flood_job"]
    words = ["promise_to_workers", "unknown_tags", "weigh", *floods, "negative_count", "weigh"]
    job = config, tmp_path, mpi_environment, words, "--mca", "btl", btl
    status, errors, summary = with_a_hostile_rank(*job, until=lost, also=weighed_twice)
    assert status == STOPPED, errors
    # Over TCP, on a machine with more processes than cores, a flooded worker may be late; that is counted, and costs its file.
    assert summary["undecided_files"] <= most_undecided
    assert summary["undecided_files"] or same_weights(weights_of(tmp_path / "runs" / "hostile"), honest_weights(summary["steps"]))
    assert held_against(summary) == HOSTILE
    # Over TCP one flood, of 200 MB and what MPI keeps with each message, may come whole within one call; but not three of them.
    before, after = (json.loads(line) for line in weights.read_text().splitlines())
    grown = {rank: (after[rank] - before[rank]) // MIB for rank in ("0", "1", "2")}
    assert max(grown.values()) < most_mib, grown
    assert lost in errors
    for worker in HOSTILE:
        assert summary["blamed"][worker]["malformed"] > 16
        assert summary["blamed"][worker]["lost"] == 1


@pytest.mark.parametrize(
    ("btl", "cause", "line"),
    [
        ("self,sm", "malformed", "worker 14: not a frame"),
        ("self,tcp", "lost", "worker 14: is lost with rank 3: a message of it has not come to its end"),
    ],
)
def test_a_rank_that_is_stopped_in_the_middle_of_a_message_holds_nobody_up(
    tiny_run: Maker,
    tmp_path: Path,
    mpi_environment: dict[str, str],
    honest_weights: Callable[[int], Any],
    weights_of: Callable[[Path], dict[str, torch.Tensor]],
    same_weights: Callable[..., bool],
    btl: str,
    cause: str,
    line: str,
) -> None:
    config = hostile_run(tiny_run, steps=MOST_STEPS, round_timeout=6.0)
    words, flags = ["promise_to_workers", "promise_and_stop"], [*ULFM, "--mca", "btl", btl]
    status, errors, summary = with_a_hostile_rank(config, tmp_path, mpi_environment, words, *flags, until=line)
    assert status == STOPPED, errors  # and mpirun has returned, although that rank would never have ended
    assert same_weights(weights_of(tmp_path / "runs" / "hostile"), honest_weights(summary["steps"]))
    # Over shared memory the server reads a message without its sender's help, and finds that it is no frame.
    assert all(summary["blamed"][worker][cause] == 1 for worker in HOSTILE)


@pytest.mark.parametrize(("last_word", "flags"), [("goodbye_and_hang", []), ("goodbye_and_stop", ULFM)])
def test_a_rank_that_says_goodbye_and_never_ends_does_not_keep_the_job(
    tiny_run: Maker, tmp_path: Path, mpi_environment: dict[str, str], last_word: str, flags: list[str]
) -> None:
    config = tiny_run(run={"name": "hostile"})
    status, errors, summary = with_a_hostile_rank(config, tmp_path, mpi_environment, [last_word], *flags)
    assert status == 0, errors
    assert summary["steps"] == 4


def test_a_flood_that_no_receive_can_take_ends_with_its_sender(
    tiny_run: Maker, tmp_path: Path, mpi_environment: dict[str, str]
) -> None:
    config = hostile_run(tiny_run, steps=MOST_STEPS, round_timeout=60.0)
    words, flags, line = ["flood_collectives"], [*ULFM, "--mca", "btl", "self,tcp"], "messages that no receive can take"
    status, errors, summary = with_a_hostile_rank(config, tmp_path, mpi_environment, words, *flags, until=line)
    assert status == STOPPED, errors
    assert line in errors
    assert held_against(summary) == HOSTILE
