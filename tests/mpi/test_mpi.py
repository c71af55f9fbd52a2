"""Real mpirun jobs: the same bytes as the simulator, hostile ranks, and jobs that end."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
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
ALIE = {"name": "alie", "num_byzantine": 3}


def mpirun(num_ranks: int, words: list[str], environment: dict[str, str], *flags: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [MPIRUN, *flags, "-n", str(num_ranks), sys.executable, "-m", "mpi4py", *words],
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
    )


def train(config: RunConfig, tmp_path: Path, num_ranks: int, environment: dict[str, str], *flags: str) -> dict[str, Any]:
    run_file = tmp_path / f"{config.run.name}.toml"
    run_file.write_text(dump(config))
    done = mpirun(num_ranks, ["-m", "byzshield", "train", str(run_file), "--overwrite"], environment, *flags)
    assert done.returncode == 0, done.stderr
    summary: dict[str, Any] = json.loads((tmp_path / "runs" / config.run.name / "summary.json").read_text())
    return summary


@pytest.mark.parametrize(
    ("num_ranks", "sections"),
    [
        (
            3,
            {
                "attack": {"name": "fall_of_empires", "num_byzantine": 4, "selection": "random", "knowledge": "own"},
                "model": {"hidden": [400]},
                "cluster": {"chunk_elements": 20_000},  # long enough for buffers that are used again
                "aggregation": {"winners_mib": 1},  # a window is one of two chunks
            },
        ),
        (
            4,
            {
                "attack": {**ALIE, "z": "optimized"},
                "cluster": {"exchange": "full"},
                "aggregation": {"rule": "multi_krum", "pre": [{"name": "bucketing", "bucket_size": 2}]},  # 3 of 13
            },
        ),
    ],  # with 16 processes: the quickstart, in scripts/test_readme.py
)
def test_an_mpi_job_trains_the_same_bits_as_the_simulator(
    tiny_run: Maker,
    tmp_path: Path,
    mpi_environment: dict[str, str],
    weights_of: Callable[[Path], dict[str, torch.Tensor]],
    same_weights: Callable[..., bool],
    num_ranks: int,
    sections: dict[str, dict[str, Any]],
) -> None:
    config = tiny_run(run={"name": "mpi", "steps": 6}, **sections)
    summary = train(config, tmp_path, num_ranks, mpi_environment)
    at_once = replace(config, aggregation=replace(config.aggregation, winners_mib="auto"))
    simulated, in_simulation = simulate(replace(at_once, run=replace(config.run, name="simulated")))
    assert same_weights(weights_of(tmp_path / "runs" / "mpi"), weights_of(simulated.path))
    assert summary["corrupted_files_max"] == in_simulation["corrupted_files_max"] > 0
    assert summary["undecided_files"] == 0
    assert summary["worker_peak_rss_bytes"] > 0


def test_a_job_with_audits_ends_with_the_weights_of_a_simulation_without_liars(
    tiny_run: Maker,
    tmp_path: Path,
    mpi_environment: dict[str, str],
    weights_of: Callable[[Path], dict[str, torch.Tensor]],
    same_weights: Callable[..., bool],
) -> None:
    sections: dict[str, dict[str, Any]] = {"placement": {"scheme": "baseline"}, "aggregation": {"rule": "mean"}}
    run = {"steps": 8, "checkpoint_every": 3}
    attack = {"name": "alie", "num_byzantine": 14}
    audit = {"rate": 0.5, "rollback": True, "clean_steps": 2, "seed": 1}
    config = tiny_run(run={"name": "mpi", **run}, attack=attack, audit=audit, **sections)
    summary = train(config, tmp_path, 4, mpi_environment)
    honest, _ = simulate(tiny_run(run={"name": "honest", **run}, **sections))
    assert same_weights(weights_of(tmp_path / "runs" / "mpi"), weights_of(honest.path))
    assert len(summary["expelled"]) == 14
    assert "14" not in summary["blamed"]


def test_combinations_are_decoded_to_the_same_bits_as_in_the_simulator(
    tiny_run: Maker,
    tmp_path: Path,
    mpi_environment: dict[str, str],
    weights_of: Callable[[Path], dict[str, torch.Tensor]],
    same_weights: Callable[..., bool],
) -> None:
    sections: dict[str, dict[str, Any]] = {
        "cluster": {"num_workers": 5, "exchange": "coded"},
        "placement": {"scheme": "cyclic"},
        "aggregation": {"rule": "mean"},
        "attack": {"name": "reversed_gradient", "num_byzantine": 1},
    }
    summary = train(tiny_run(run={"name": "mpi"}, **sections), tmp_path, 3, mpi_environment)
    simulated, _ = simulate(tiny_run(run={"name": "simulated"}, **sections))
    assert same_weights(weights_of(tmp_path / "runs" / "mpi"), weights_of(simulated.path))
    assert {worker: counts["minority"] for worker, counts in summary["blamed"].items()} == {"0": 4}


def test_a_rank_that_sends_garbage_and_oversized_messages_is_outvoted(
    tiny_run: Maker,
    tmp_path: Path,
    mpi_environment: dict[str, str],
    weights_of: Callable[[Path], dict[str, torch.Tensor]],
    same_weights: Callable[..., bool],
) -> None:
    attack = {"name": "garbage", "num_byzantine": 5, "selection": "first"}
    sections = {"cluster": {"num_workers": 15, "round_timeout": 20.0}, "aggregation": {"num_corrupted": 0}}
    summary = train(tiny_run(run={"name": "hostile"}, attack=attack, **sections), tmp_path, 4, mpi_environment)
    honest, _ = simulate(tiny_run(run={"name": "honest"}, **sections))
    assert same_weights(weights_of(tmp_path / "runs" / "hostile"), weights_of(honest.path))
    assert {worker for worker, counts in summary["blamed"].items() if counts["malformed"]} == {"0", "1", "2", "3", "4"}


def test_silent_workers_cost_a_timeout_and_no_more(tiny_run: Maker, tmp_path: Path, mpi_environment: dict[str, str]) -> None:
    attack = {
        "name": "silence",
        "num_byzantine": 2,
        "selection": "fixed",
        "workers": [0, 5],
        "at_steps": [2],
    }
    config = tiny_run(run={"name": "silent"}, attack=attack, cluster={"round_timeout": 2.0})
    summary = train(config, tmp_path, 4, mpi_environment)
    assert summary["undecided_files"] == 1
    assert summary["steps"] == 4
    assert {worker: counts["timeout"] for worker, counts in summary["blamed"].items() if counts["timeout"]} == {"0": 1, "5": 1}


def test_an_impossible_request_ends_the_whole_job_with_one_line(
    tiny_run: Maker, tmp_path: Path, mpi_environment: dict[str, str]
) -> None:
    run_file = tmp_path / "run.toml"
    run_file.write_text(dump(tiny_run(data={"batch_size": 76})))
    done = mpirun(3, ["-m", "byzshield", "train", str(run_file)], mpi_environment)
    assert done.returncode == 2
    assert [line for line in done.stderr.splitlines() if line.startswith("byzshield:")] == [
        "byzshield: data.batch_size must be a multiple of the 25 files; got 76: use 75, for instance"
    ]
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "runs").exists()


def test_a_dead_rank_is_lost_and_the_job_goes_on(tiny_run: Maker, tmp_path: Path, mpi_environment: dict[str, str]) -> None:
    config = tiny_run(
        run={"name": "dead", "steps": 12},
        attack={"name": "death", "num_byzantine": 1, "selection": "fixed", "workers": [14], "at_steps": [3]},
    )
    # Rank 3 hosts workers 10 to 14, one Latin square, so no file loses two copies.
    summary = train(config, tmp_path, 4, mpi_environment, "--with-ft", "ulfm")
    assert summary["steps"] == 12
    assert summary["undecided_files"] == 0
    assert {worker for worker, counts in summary["blamed"].items() if counts["lost"]} == {"10", "11", "12", "13", "14"}


def test_accomplices_whose_leader_dies_go_on_without_it(tiny_run: Maker, tmp_path: Path, mpi_environment: dict[str, str]) -> None:
    attack = {"name": "fault_attacks:LosesItsLeader", "num_byzantine": 3, "selection": "fixed", "workers": [0, 5, 11]}
    summary = train(
        tiny_run(run={"name": "leaderless", "steps": 12}, attack=attack), tmp_path, 4, mpi_environment, "--with-ft", "ulfm"
    )
    assert {worker for worker, counts in summary["blamed"].items() if counts["lost"]} == {"0", "1", "2", "3", "4"}
    late = [summary["blamed"][worker]["timeout"] for worker in ("5", "11")]
    assert max(late) <= 4  # of ten steps in which nobody would hear of them, if they waited for it


def test_a_job_without_enough_survivors_ends_with_its_last_step_stored(
    tiny_run: Maker, tmp_path: Path, mpi_environment: dict[str, str]
) -> None:
    attack = {"name": "death", "num_byzantine": 2, "selection": "fixed", "workers": [0, 5], "at_steps": [3]}
    config = tiny_run(run={"name": "deserted", "steps": 12}, attack=attack, aggregation={"num_corrupted": 0})
    run_file = tmp_path / "run.toml"
    run_file.write_text(dump(config))
    done = mpirun(4, ["-m", "byzshield", "train", str(run_file)], mpi_environment, "--with-ft", "ulfm")
    assert done.returncode == 1, done.stderr
    assert "byzshield: only 5 of 15 workers are left, who can decide 0 of the 25 files" in done.stderr
    assert "Traceback" not in done.stderr
    directory = tmp_path / "runs" / "deserted"
    assert [line["applied"] for line in read_metrics(directory / "metrics.jsonl")] == [True, True]
    assert [path.name for path in (directory / "checkpoints").iterdir()] == ["step_2.pt"]
    assert json.loads((directory / "summary.json").read_text())["status"] == "failed"


def test_a_job_whose_steps_are_all_skipped_ends_in_order_and_fails(
    tiny_run: Maker, tmp_path: Path, mpi_environment: dict[str, str]
) -> None:
    attack = {"name": "silence", "num_byzantine": 10, "selection": "first", "at_steps": [3, 4, 5]}
    sections = {"aggregation": {"num_corrupted": 0}, "cluster": {"max_skipped": 2, "round_timeout": 1.0}}
    run_file = tmp_path / "run.toml"
    run_file.write_text(dump(tiny_run(run={"name": "stalled", "steps": 12}, attack=attack, **sections)))
    done = mpirun(3, ["-m", "byzshield", "train", str(run_file)], mpi_environment)
    assert done.returncode == 1, done.stderr
    (message,) = [line for line in done.stderr.splitlines() if line.startswith("byzshield:")]
    assert message.startswith("byzshield: 2 steps in a row were skipped, the last with 25 files undecided")
    assert "Traceback" not in done.stderr
    assert "MPI_ABORT" not in done.stderr
    directory = tmp_path / "runs" / "stalled"
    assert [line["applied"] for line in read_metrics(directory / "metrics.jsonl")] == [True, True, False, False]
    assert [path.name for path in (directory / "checkpoints").iterdir()] == ["step_2.pt"]
    assert json.loads((directory / "summary.json").read_text())["status"] == "failed"


def test_a_job_that_is_asked_to_stop_stores_its_step_and_can_be_resumed(
    tiny_run: Maker,
    tmp_path: Path,
    mpi_environment: dict[str, str],
    weights_of: Callable[[Path], dict[str, torch.Tensor]],
    same_weights: Callable[..., bool],
) -> None:
    sections = {"attack": ALIE, "optimizer": {"momentum": 0.9}}
    config = tiny_run(run={"name": "stopped", "steps": 40}, model=drowsy(0.002), **sections)
    run_file, directory = tmp_path / "run.toml", tmp_path / "runs" / "stopped"
    run_file.write_text(dump(config))
    words = [MPIRUN, "-n", "3", sys.executable, "-m", "mpi4py", "-m", "byzshield", "train", str(run_file), "--resume"]
    job = subprocess.Popen(words, env=mpi_environment, stderr=subprocess.PIPE, text=True)
    wait_for(lambda: len(read_metrics(directory / "metrics.jsonl")) >= 3, "3 steps", 120)
    job.send_signal(signal.SIGUSR1)  # mpirun passes it on to every rank
    _, errors = job.communicate(timeout=60)
    assert job.returncode == 143, errors
    assert "Traceback" not in errors
    step = read_metrics(directory / "metrics.jsonl")[-1]["step"]
    assert f"stopped after step {step} of 40" in errors
    assert json.loads((directory / "summary.json").read_text())["status"] == "stopped"
    again = subprocess.run(words, env=mpi_environment, capture_output=True, text=True, timeout=240)
    assert again.returncode == 0, again.stderr
    whole, _ = simulate(tiny_run(run={"name": "whole", "steps": 40}, **sections))
    assert same_weights(weights_of(directory), weights_of(whole.path))


def test_a_job_whose_server_is_killed_goes_on_from_its_checkpoint(
    tiny_run: Maker,
    tmp_path: Path,
    mpi_environment: dict[str, str],
    weights_of: Callable[[Path], dict[str, torch.Tensor]],
    same_weights: Callable[..., bool],
) -> None:
    attack = {"name": "mimic", "num_byzantine": 4, "warmup": 100}  # which remembers all steps
    sections = {"attack": attack, "optimizer": {"momentum": 0.9}}
    config = tiny_run(run={"name": "killed", "steps": 40, "checkpoint_every": 2}, model=drowsy(0.002), **sections)
    run_file, directory = tmp_path / "run.toml", tmp_path / "runs" / "killed"
    run_file.write_text(dump(config))
    words = [MPIRUN, "-n", "2", sys.executable, "-m", "mpi4py", "-m", "byzshield", "train", str(run_file), "--resume"]
    with subprocess.Popen(words, env=mpi_environment, stderr=subprocess.PIPE, text=True) as job:
        try:
            wait_for(lambda: len(read_metrics(directory / "metrics.jsonl")) >= 5, "5 steps", 120)
            server = int((directory / ".lock").read_text().split()[1])  # "process PID on HOST"
            os.kill(server, signal.SIGKILL)
            job.communicate(timeout=60)
        finally:
            job.kill()
    assert job.returncode != 0
    again = subprocess.run(words, env=mpi_environment, capture_output=True, text=True, timeout=240)
    assert again.returncode == 0, again.stderr
    assert "resumed from" in again.stderr
    whole, _ = simulate(tiny_run(run={"name": "whole", "steps": 40}, **sections))
    assert same_weights(weights_of(directory), weights_of(whole.path))
    lines = [untimed(line) for line in read_metrics(directory / "metrics.jsonl")]
    assert lines == [untimed(line) for line in read_metrics(whole.metrics)]


def untimed(line: dict[str, Any]) -> dict[str, Any]:
    """What of a line depends on no clock: neither by measuring, nor by when what has come and who was asked because of it."""
    timed = {"breakdown", "gradients", "bytes_received", "bytes_sent", "blamed"}
    return {key: value for key, value in line.items() if "seconds" not in key and key not in timed}


def test_pickling_over_mpi_is_switched_off(mpi_environment: dict[str, str]) -> None:
    code = "from byzshield.transport import mpi; from mpi4py import MPI; MPI.COMM_WORLD.isend({'a': 1}, dest=0)"
    done = mpirun(1, ["-c", code], mpi_environment)
    assert done.returncode != 0
    assert "pickling over MPI is switched off" in done.stderr


def test_what_a_killed_mpirun_leaves_keeps_none_with_its_process_id_from_starting(
    tmp_path: Path, mpi_environment: dict[str, str]
) -> None:
    environment = {**mpi_environment, "TMPDIR": str(tmp_path)}
    started = "from mpi4py import MPI; import os, sys; print('started', flush=True)"
    words = [MPIRUN, "-n", "1", sys.executable, "-c", f"{started}; sys.stdin.read(); os._exit(1)"]  # it ends with mpirun's input
    with subprocess.Popen(words, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as killed:
        assert killed.stdout is not None
        assert killed.stdout.readline() == "started\n"
        killed.kill()
    (left,) = tmp_path.iterdir()
    same_process_id = 'cd "$TMPDIR" && mv "$1" "${1/$2/$$}" && exec "${@:3}"'
    again = [MPIRUN, "-n", "1", sys.executable, "-c", started]
    command = ["bash", "-c", same_process_id, "bash", left.name, str(killed.pid), *again]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "started\n"), done.stderr
    assert not list(tmp_path.iterdir())


def test_a_death_that_cannot_be_acknowledged_is_a_lost_rank_or_one_line(mpi_environment: dict[str, str]) -> None:
    code = """
from mpi4py import MPI
from byzshield.errors import TransportError
from byzshield.transport.mpi import MPIEndpoint

class Communicator:
    def __init__(self, says):
        self.says = says
    def Improbe(self, source, *_):
        raise MPI.Exception(MPI.ERR_PROC_FAILED_PENDING if source == MPI.ANY_SOURCE else MPI.ERR_PROC_FAILED)
    def Ack_failed(self):
        raise MPI.Exception(self.says)

for says in (MPI.ERR_PROC_FAILED, MPI.ERR_REVOKED):
    endpoint = MPIEndpoint()
    endpoint.hear([1])
    endpoint._own.comm = Communicator(says)
    try:
        endpoint.receive({})
        found = dict(endpoint.lost())
    except TransportError as error:
        found = error
    if endpoint.rank == 0:
        print(found)
"""
    done = mpirun(2, ["-c", code], mpi_environment)
    assert done.stdout.splitlines() == ["{1: 'its process is dead'}", "MPI failed: MPI_ERR_REVOKED: Communication Object Revoked"]


def test_a_lost_rank_whose_messages_begin_and_never_end_does_not_fill_the_server(mpi_environment: dict[str, str]) -> None:
    code = """
from byzshield.errors import TransportError
from byzshield.transport.mpi import MPIEndpoint, endpoint as module

class Promise:  # a message, and the request that is to receive it
    def Irecv(self, *_):
        return self
    def Test(self):
        return False

module.MOST_LEFT = 1000
endpoint = MPIEndpoint()
if endpoint.rank == 0:
    endpoint.watch()
    endpoint.hear([1, 2])
    for rank in (1, 2):
        endpoint.grant(rank, 10, 10)
    lane, taken = endpoint._own.lanes[1], 0
    endpoint.cut_off(1, "a flood")
    try:
        while taken < 5000:
            lane._drain.take(Promise(), 70_000, 1)
            taken += 1
            endpoint.receive({})
    except TransportError as error:
        print(taken, error)
"""
    done = mpirun(3, ["-c", code], mpi_environment)
    taken, said = done.stdout.split(maxsplit=1)
    assert 1000 < int(taken) < 1100
    assert said.startswith("rank 1 fills this process's memory with messages that no receive can take or that never end")


@pytest.mark.parametrize("sender", [0, 2])
def test_messages_that_begin_and_never_end_do_not_fill_a_worker(mpi_environment: dict[str, str], sender: int) -> None:
    code = """
import sys, time
from mpi4py import MPI
from byzshield.errors import TransportError
from byzshield.transport.mpi import MPIEndpoint, endpoint as module

module.MOST_LEFT = 300
sender, endpoint, world = int(sys.argv[1]), MPIEndpoint(), MPI.COMM_WORLD
if endpoint.rank == sender:
    data, pending = bytearray(8000), []
    world.Ssend([data, 1, MPI.BYTE], 1, 5)  # from now on, what it begins to send is on its way at once
    while True:  # and it never helps on what it has begun
        pending.append(world.Isend([data, MPI.BYTE], 1, 5))
        time.sleep(1e-3)
if endpoint.rank == 1:
    endpoint.hear([0])
    endpoint.watch()
    before, lost = 0, {}
    try:
        while True:
            endpoint.receive({})
            if not lost:
                before, lost = endpoint._drain.unfinished[sender], dict(endpoint.lost())
    except TransportError as error:
        print([before, endpoint._drain.unfinished[sender]], lost, error, sep=chr(10), flush=True)
    world.Abort()
time.sleep(300)
"""
    flags = ["--mca", "btl", "self,tcp", "--mca", "btl_tcp_eager_limit", "1024"]  # what is longer is first announced
    done = mpirun(3, ["-c", code, str(sender)], mpi_environment, *flags)
    counts, lost, said = done.stdout.splitlines()[:3]
    before, after = json.loads(counts)
    assert said.startswith(f"rank {sender} fills this process's memory with messages that no receive can take or that never end")
    assert after > 300 + (before if sender else 0)
    # A worker has the runtime end who does so, but not the server.
    assert lost == (f"{{2: 'it has sent {before} messages that no receive can take or that never end'}}" if sender else "{}")


def test_a_rank_knows_its_place_on_its_host(mpi_environment: dict[str, str]) -> None:
    done = mpirun(3, ["-c", "from byzshield.transport import mpi; print(mpi.local_rank())"], mpi_environment)
    assert sorted(done.stdout.split()) == ["0", "1", "2"]


def test_the_doctor_asks_every_rank(tiny_run: Maker, tmp_path: Path, mpi_environment: dict[str, str]) -> None:
    run_file = tmp_path / "tiny.toml"
    run_file.write_text(dump(tiny_run(attack=ALIE)))
    done = mpirun(3, ["-m", "byzshield", "doctor", str(run_file), "--json"], mpi_environment, "--with-ft", "ulfm")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    values = {finding["topic"]: finding["value"] for finding in document["findings"]}
    assert document["fit"]
    assert values["ranks"] == "3 on 1 host"
    assert "training goes on" in values["a rank that dies"]
    assert "slowest" in values["bandwidth"]
