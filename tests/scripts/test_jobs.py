"""train_local.sh, logs.sh and stop.sh with real mpirun jobs."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import metadata_service
import pytest
from checkpoints import latest_checkpoint
from polling import wait_for

from byzshield.config import RunConfig, dump
from byzshield.runtime.metrics import read_metrics

pytestmark = [pytest.mark.mpi, pytest.mark.timeout(280)]


def script(checkout: Path, name: str, *words: str, timeout: float = 200.0) -> subprocess.CompletedProcess[str]:
    command = ["bash", f"{checkout}/scripts/{name}", *words]
    return subprocess.run(command, cwd=checkout, capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL)


def steps_done(checkout: Path, name: str = "endless") -> int:
    lines = read_metrics(checkout / "runs" / name / "metrics.jsonl")
    return lines[-1]["step"] if lines else 0


def session_of(checkout: Path) -> list[str]:
    """What still runs of the job's session."""
    leader = (checkout / ".job" / "leader").read_text().split()[0]
    return subprocess.run(["ps", "-o", "pid=,args=", "--sid", leader], capture_output=True, text=True).stdout.splitlines()


@pytest.fixture
def started(checkout: Path, endless_run: str) -> Iterator[Path]:
    """A checkout with a detached job that has done some steps."""
    done = script(checkout, "train_local.sh", "--ranks", "3", "--detach", endless_run)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("job started; bash scripts/logs.sh follows it")
    wait_for(lambda: steps_done(checkout) >= 3, "3 steps", 120)
    yield checkout
    script(checkout, "stop.sh", "--grace", "0")


def test_a_job_shows_its_log_and_keeps_it(checkout: Path, tiny_run: Callable[..., RunConfig]) -> None:
    (checkout / "run.toml").write_text(dump(tiny_run(run={"output_dir": "runs"})))
    done = script(checkout, "train_local.sh", "--ranks", "2", "run.toml")
    assert done.returncode == 0, done.stderr + done.stdout
    assert "results in runs/tiny" in done.stdout
    (log,) = (checkout / "runs").glob("job-*.log")
    assert log.read_text() == done.stdout
    again = script(checkout, "logs.sh")
    assert (again.returncode, again.stdout) == (0, done.stdout)
    assert script(checkout, "logs.sh", "--from", "10").stdout == done.stdout[10:]


def test_a_failing_job_hands_on_its_exit_status(checkout: Path, tiny_run: Callable[..., RunConfig]) -> None:
    (checkout / "run.toml").write_text(dump(tiny_run(data={"batch_size": 76})))
    done = script(checkout, "train_local.sh", "--ranks", "2", "run.toml")
    assert done.returncode == 2
    assert "data.batch_size must be a multiple of the 25 files" in done.stdout
    assert script(checkout, "logs.sh").returncode == 2


def test_stop_leaves_a_checkpoint_and_no_process(started: Path, endless_run: str) -> None:
    refused = script(started, "train_local.sh", "--detach", endless_run)
    assert refused.returncode == 2
    assert "a job of this folder is running" in refused.stderr
    assert len(session_of(started)) >= 4
    stopped = script(started, "stop.sh")
    assert stopped.returncode == 0, stopped.stderr
    assert "the job has ended with status 143" in stopped.stdout
    path = latest_checkpoint(started / "runs" / "endless" / "checkpoints")
    assert path is not None
    assert path.name == f"step_{steps_done(started)}.pt"
    assert session_of(started) == []
    assert script(started, "logs.sh").returncode == 143
    assert "no job is running" in script(started, "stop.sh").stdout


def test_a_job_that_does_not_listen_is_killed(started: Path) -> None:
    hung = [line.split()[0] for line in session_of(started) if "prterun" in line or "mpi4py" in line]
    assert hung
    for pid in hung:
        os.kill(int(pid), signal.SIGSTOP)
    stopped = script(started, "stop.sh", "--grace", "1")
    assert stopped.returncode == 0
    assert "is killed" in stopped.stderr
    wait_for(lambda: not session_of(started), "the end of its session", 10)
    after = script(started, "logs.sh")
    assert after.returncode == 1
    assert "the job was killed" in after.stderr


def test_a_stranger_with_the_recorded_process_id_is_left_alone(checkout: Path) -> None:
    stranger = subprocess.Popen(["sleep", "60"])
    try:
        (checkout / ".job").mkdir()
        (checkout / ".job" / "leader").write_text(f"{stranger.pid} 1\n")
        assert "no job is running" in script(checkout, "stop.sh", "--grace", "0").stdout
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_ctrl_c_ends_the_job_that_is_watched(checkout: Path, endless_run: str) -> None:
    command = ["bash", f"{checkout}/scripts/train_local.sh", "--ranks", "3", endless_run]
    process = subprocess.Popen(command, cwd=checkout, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        wait_for(lambda: steps_done(checkout) >= 3, "3 steps", 120)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=90)
    finally:
        script(checkout, "stop.sh", "--grace", "0")
    assert process.returncode == 130
    assert "stopped after step" in output
    assert session_of(checkout) == []


@pytest.mark.parametrize(
    ("name", "words", "complaint"),
    [
        ("train_local.sh", ["--ranks", "1", "endless.toml"], "--ranks must be at least 2; got 1"),
        ("train_local.sh", ["missing.toml"], "missing.toml does not exist"),
        ("train_local.sh", ["--rank", "2"], "unknown argument --rank"),
        ("train_local.sh", ["--ranks"], "--ranks needs a number"),
        ("train_cluster.sh", ["endless.toml"], "no hostfile .cluster/hosts_address"),
        ("train_cluster.sh", ["--hostfile", "/nowhere/hosts", "endless.toml"], "no hostfile /nowhere/hosts"),
        ("stop.sh", ["--grace", "soon"], "--grace needs a whole number of seconds; got soon"),
        ("logs.sh", ["--from", "x"], "--from needs a number of bytes; got x"),
        ("logs.sh", [], "no job was ever started"),
        ("logs.sh", ["--no-follow"], "no job was ever started"),
    ],
)
@pytest.mark.usefixtures("endless_run")
def test_a_wrong_request_is_one_line_and_status_2(checkout: Path, name: str, words: list[str], complaint: str) -> None:
    done = script(checkout, name, *words)
    assert done.returncode == 2
    assert complaint in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (checkout / "runs").exists()


@pytest.mark.parametrize(
    "name",
    [
        "train_local.sh",
        "train_cluster.sh",
        "logs.sh",
        "stop.sh",
        "node/supervise.sh",
        "node/cluster_job.sh",
        "node/watch_interruption.sh",
    ],
)
def test_each_script_explains_itself(checkout: Path, name: str) -> None:
    done = script(checkout, name, "--help")
    assert done.returncode == 0
    assert done.stdout.startswith(f"Usage: bash scripts/{name}")


def test_a_notice_of_interruption_is_noticed(checkout: Path, tmp_path: Path) -> None:
    service = subprocess.Popen([sys.executable, metadata_service.__file__, str(tmp_path), "127.0.0.1", "0"])
    try:
        wait_for((tmp_path / "port").exists, "the metadata service", 20)
        with subprocess.Popen(
            ["bash", f"{checkout}/scripts/node/watch_interruption.sh"],
            env={**os.environ, "METADATA": f"http://127.0.0.1:{(tmp_path / 'port').read_text()}"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as watcher:
            with pytest.raises(subprocess.TimeoutExpired):
                watcher.wait(1)
            (tmp_path / "notice").write_text('{"action": "terminate"}')
            assert watcher.stdout is not None
            assert watcher.stdout.readline() == '{"action": "terminate"}'
            assert watcher.wait(10) == 0
    finally:
        service.kill()
        service.wait()


def test_a_watcher_ends_with_the_connection_that_started_it(checkout: Path) -> None:
    environment = {**os.environ, "METADATA": "http://127.0.0.1:9"}  # the discard port: nobody answers
    with subprocess.Popen(
        ["bash", f"{checkout}/scripts/node/watch_interruption.sh"], env=environment, stdin=subprocess.PIPE
    ) as watcher:
        assert watcher.stdin is not None
        watcher.stdin.close()
        assert watcher.wait(20) == 1
