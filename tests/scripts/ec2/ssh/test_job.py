"""train, logs and stop-job: the job belongs to the parameter server, whatever becomes of the laptop and its connections.

The node's own scripts are the real ones, but for train_cluster.sh: what it starts here is a small program instead of mpirun.
"""

import signal
from pathlib import Path

import pytest
from laptop import Laptop, connections, end
from launcher import PYTHONS
from loopback_hosts import copy_scripts
from polling import wait_for

TRAIN_CLUSTER = """
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/lib/job.sh
if [[ $1 == --dry-run ]]; then
    [[ ! -e wrong ]] || { echo "byzshield: run.steps must be at least 1; got 0" >&2 && exit 2; }
    echo "run runs/quickstart"
    cat facts
    exit
fi
printf '%s\\n' "$@" >arguments
[[ -e fail ]] && echo "no .venv here" >&2 && exit 2
run_job 1 bash program.sh
"""
# Writes a line whenever the file `go` is there, and ends when it says so; SIGUSR1 ends it after "its step".
PROGRAM = """
trap 'echo checkpoint; exit 0' USR1
echo "größe $$"
while :; do
    if [[ -e go ]]; then
        said=$(<go)
        rm go
        echo "$said"
        [[ $said != end* ]] || exit "${said#end }"
    fi
    sleep 0.02
done
"""


@pytest.fixture
def server(laptop: Laptop) -> Path:
    """The project's folder on the parameter server of a cluster with one worker."""
    laptop.host("ps")
    laptop.host("worker1")
    copy_scripts(laptop.project, "lib", "logs.sh", "node", "stop.sh")
    laptop.write("scripts/train_cluster.sh", TRAIN_CLUSTER)
    laptop.write("program.sh", PROGRAM)
    laptop.write("facts", "workers 15\ncheckpoint none\n")
    laptop.write("configs/runs/quickstart.toml", "[run]\n")
    return laptop.directory("ps")


def say(server: Path, text: str) -> None:
    """Lets the job write a line."""
    (server / "go.new").write_text(text)
    (server / "go.new").rename(server / "go")
    wait_for(lambda: not (server / "go").exists(), "the job reads it")


@PYTHONS
def test_train_pushes_starts_and_returns(laptop: Laptop, server: Path) -> None:
    laptop.settings["job"] = {"flags": ["--set", "run.steps=5"], "ranks_per_host": 3, "network": "10.0.0.0/16", "restarts": 1}
    laptop.settings["market"] = "spot"
    result = laptop.run("train", "--ranks", "5", "--restarts", "0", "--", "--set", "run.name=a b")
    assert result.returncode == 0, result.stderr
    assert b"ps: job started" in result.stdout
    assert b"worker1: sent " in result.stderr
    arguments = (server / "arguments").read_text().splitlines()
    passed_on = ["--ranks-per-host", "3", "--ranks", "5", "--network", "10.0.0.0/16", "--restarts", "0"]
    flags = ["--set", "run.steps=5", "--set", "run.name=a b"]
    assert arguments == ["--detach", *passed_on, "--watch", "configs/runs/quickstart.toml", *flags]
    second = laptop.run("train")
    assert second.returncode == 2
    assert second.stderr == b"train: a job is running on ps, and nothing was pushed: `logs` follows it, `stop-job` ends it\n"
    say(server, "end 0")
    assert laptop.run("logs").returncode == 0


def test_a_run_file_that_git_ignores_travels_too(laptop: Laptop, server: Path) -> None:
    path = laptop.write("my runs/größe.toml", "[run]\n")
    laptop.write(".gitignore", "*.toml\n")
    laptop.settings["market"] = "on-demand"
    assert laptop.run("train", str(path)).returncode == 0
    assert (server / "arguments").read_text().splitlines() == ["--detach", "my runs/größe.toml"]
    assert (laptop.directory("worker1") / "my runs" / "größe.toml").exists()
    say(server, "end 0")


def test_a_run_file_that_no_push_would_bring_is_refused(laptop: Laptop, server: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere.toml").write_text("")
    for path, message in ((str(tmp_path / "elsewhere.toml"), b"no push brings it"), ("missing.toml", b"no such file here")):
        refused = laptop.run("train", path)
        assert (refused.returncode, refused.stdout) == (2, b"")
        assert message in refused.stderr
    assert not server.exists()


def test_nothing_starts_unless_every_host_has_the_code(laptop: Laptop, server: Path) -> None:
    laptop.hosts["worker1"].stop()
    result = laptop.run("train")
    assert result.returncode == 1
    assert b"failed: worker1: no ssh at 127.0.0.1" in result.stderr
    assert b"train: not started: every host needs the same code" in result.stderr
    assert not (server / "arguments").exists()


def test_a_job_that_does_not_start_is_told(laptop: Laptop, server: Path) -> None:
    wrong = laptop.write("wrong")
    mistake = laptop.run("train")
    assert mistake.returncode == 1
    assert mistake.stderr.endswith(b"train: ps: byzshield: run.steps must be at least 1; got 0 (exit status 2)\n")
    assert not (server / "arguments").exists()
    wrong.unlink()
    laptop.write("fail")
    result = laptop.run("train", "--follow")
    assert result.returncode == 1
    assert b"ps: no .venv here\n" in result.stderr
    assert b"train: ps: scripts/train_cluster.sh ended with status 2" in result.stderr


def test_a_run_whose_checkpoints_went_with_their_host_does_not_begin_again_unasked(laptop: Laptop, server: Path) -> None:
    trained = laptop.state / "trained"
    laptop.nodes[0].append("i-2")
    for before, its in (("i-1\tnone", b"i-1"), ("i-2\tstep 120", b"i-2")):
        trained.write_text(f"runs/quickstart\t{before}\n")
        refused = laptop.run("train")
        assert refused.returncode == 2
        assert b"runs/quickstart was trained on %s, and ps (i-2) has no checkpoint of it" % its in refused.stderr
    assert laptop.run("train", "--", "--overwrite").returncode == 0
    say(server, "end 0")
    assert trained.read_text() == "runs/quickstart\ti-2\tnone\n"


@PYTHONS
def test_logs_show_what_can_be_shown_and_end_with_the_job(laptop: Laptop, server: Path) -> None:
    laptop.run("train")
    with laptop.start("logs") as process:
        wait_for(lambda: "größe".encode() in laptop.stdout, "the log so far")
        say(server, "step 1")
        wait_for(lambda: b"step 1\n" in laptop.stdout, "a new line")
        say(server, "end 3")
        assert process.wait(20) == 3
    assert laptop.stdout == (server / ".job" / "log").read_bytes()
    assert laptop.stderr == b""
    with (server / ".job" / "log").open("ab") as log:
        log.write(b"\x1b]52;c;eA==\a")  # a worker's words
    again = laptop.run("logs", "--no-follow")
    assert (again.returncode, again.stdout) == (0, laptop.stdout + b"?]52;c;eA==?\n")


def test_logs_go_on_where_a_broken_connection_stopped(laptop: Laptop, server: Path) -> None:
    laptop.run("train")
    with laptop.start("logs") as process:
        for number in range(3):
            say(server, f"step {number}")
            wait_for(lambda number=number: b"step %d\n" % number in laptop.stdout, "a new line")
            end(connections(laptop.hosts["ps"]))
            wait_for(lambda number=number: laptop.stderr.count(b"connecting again") == number + 1, "the break is noticed")
        say(server, "end 0")
        assert process.wait(20) == 0
    assert laptop.stdout == (server / ".job" / "log").read_bytes()


def test_logs_give_up_after_their_deadline(laptop: Laptop, server: Path) -> None:
    laptop.settings["deadlines"]["ssh"] = 2
    laptop.run("train")
    with laptop.start("logs") as process:
        wait_for(lambda: b"\n" in laptop.stdout, "the log so far")
        open_ones = connections(laptop.hosts["ps"])
        laptop.hosts["ps"].stop()
        end(open_ones)
        assert process.wait(30) == 1
    assert b"logs: ps: no ssh at 127.0.0.1 port " in laptop.stderr
    assert b"Traceback" not in laptop.stderr
    (server / "go").write_text("end 0")
    wait_for((server / ".job" / "status").exists, "the job ends")


def test_ctrl_c_leaves_the_job_alone(laptop: Laptop, server: Path) -> None:
    with laptop.start("train", "--follow") as process:
        wait_for(lambda: "größe".encode() in laptop.stdout, "the log so far")
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
    assert laptop.stderr.endswith(b"the job goes on; `logs` shows its log again, `stop-job` ends it\n")
    say(server, "end 4")
    assert laptop.run("logs").returncode == 4


@PYTHONS
def test_stop_job_ends_the_job_with_a_checkpoint(laptop: Laptop, server: Path) -> None:
    laptop.run("train")
    result = laptop.run("stop-job")
    assert result.returncode == 0
    assert b"ps: the job has ended with status 0\n" in result.stdout
    assert (server / ".job" / "log").read_bytes().endswith(b"checkpoint\n")
    again = laptop.run("stop-job")
    assert again.returncode == 0
    assert b"ps: no job is running in " in again.stdout


def test_logs_without_a_job_say_so(laptop: Laptop, server: Path) -> None:
    laptop.run("push")
    result = laptop.run("logs")
    assert result.returncode == 2
    assert b"no job was ever started" in result.stderr
