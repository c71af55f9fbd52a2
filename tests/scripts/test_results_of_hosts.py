"""fetch_results.sh, prepare_data.sh and evaluate.sh, on this machine and against real sshds; and each script's --help."""

import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from loopback_hosts import REPOSITORY, LoopbackHosts, make_project, run_script, snapshot
from needs import need_fashion_mnist

from byzshield.config import RunConfig, dump

SCRIPTS = [
    "evaluate.sh",
    "fetch_results.sh",
    "install_node.sh",
    "node/cluster_key.sh",
    "prepare_data.sh",
    "push_code.sh",
    "setup_nodes.sh",
]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return make_project(tmp_path / "checkout")


def give_environment(folder: Path) -> None:
    """Makes `.venv/bin/byzshield` in a project's folder: this repository's program, with the environment that runs the tests."""
    command = folder / ".venv" / "bin" / "byzshield"
    command.parent.mkdir(parents=True)
    command.write_text(f"#!/bin/sh\nPYTHONPATH='{REPOSITORY}' exec '{sys.executable}' -m byzshield \"$@\"\n")
    command.chmod(0o755)


@pytest.mark.parametrize("script", SCRIPTS)
def test_each_script_explains_itself(script: str) -> None:
    done = run_script(REPOSITORY, script, "--help")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"Usage: bash scripts/{script}")
    assert "Example" in done.stdout
    assert "Exit status" in done.stdout


@pytest.mark.parametrize("script", ["evaluate.sh", "fetch_results.sh", "prepare_data.sh", "push_code.sh", "setup_nodes.sh"])
def test_a_wrong_option_is_refused(script: str) -> None:
    done = run_script(REPOSITORY, script, "--what", "ever")
    assert done.returncode == 2
    assert done.stderr == f"{script.removesuffix('.sh')}: there is no option --what; see --help\n"


def test_results_come_without_links_and_only_once(hosts: LoopbackHosts, project: Path) -> None:
    runs = hosts.home(0) / "byzshield" / "runs"
    for name in ("first", "second"):
        (runs / name / "checkpoints").mkdir(parents=True)
        (runs / name / "checkpoints" / "step_5.pt").write_bytes(os.urandom(100_000))
        (runs / name / "metrics.jsonl").write_text("{}\n")
    (runs / "first" / "link").symlink_to("/etc/passwd")
    one = run_script(project, "fetch_results.sh", *hosts.options, "first")
    assert one.returncode == 1, one.stderr
    assert "failed: first/link is refused: it is a link\n" in one.stderr
    assert sorted(one.stdout.splitlines()) == ["first/checkpoints/step_5.pt", "first/metrics.jsonl"]
    assert not os.path.lexists(project / "runs" / "first" / "link")
    assert not (project / "runs" / "second").exists()
    (runs / "first" / "link").unlink()
    everything = run_script(project, "fetch_results.sh", *hosts.options)
    assert everything.returncode == 0
    assert "first/metrics.jsonl" not in everything.stdout
    assert "second/metrics.jsonl" in everything.stdout
    assert snapshot(project / "runs") == snapshot(runs)
    (runs / "second" / "metrics.jsonl").write_text("{}\n{}\n")
    elsewhere = run_script(project, "fetch_results.sh", *hosts.options, "--output", "elsewhere", "second")
    assert elsewhere.stdout.splitlines()[-1] == f"The results are in {project.parent}/elsewhere."
    assert (project.parent / "elsewhere" / "second" / "metrics.jsonl").read_text() == "{}\n{}\n"


def test_results_that_are_not_there_are_an_error(hosts: LoopbackHosts, project: Path) -> None:
    done = run_script(project, "fetch_results.sh", *hosts.options, "nowhere")
    assert done.returncode == 1
    assert "fetch_results: not all of nowhere came from ps (127.0.0.1)" in done.stderr
    assert run_script(project, "fetch_results.sh", *hosts.options, "../.ssh").returncode == 2
    hosts.servers[0].stop()
    assert run_script(project, "fetch_results.sh", *hosts.options).returncode == 1


def test_a_lying_host_costs_neither_disk_nor_the_terminal(hosts: LoopbackHosts, project: Path) -> None:
    (hosts.home(0) / "byzshield" / "runs").mkdir(parents=True)
    listed = (b"f 5 1700000000.0 ./a", b"f 5 inf ./b", b"f 5 1.0 ./\x1b[2J", b"f 5 1.0 ./../c", b"f 6 1700000000.0 ./d")
    (hosts.home(0) / "list").write_bytes(b"".join(line + b"\0" for line in listed))
    bomb = tarfile.TarInfo("./d")
    bomb.size = 400_000_000
    good = tarfile.TarInfo("./a")
    good.size = 5
    archive = good.tobuf(tarfile.GNU_FORMAT) + b"hello".ljust(512, b"\0") + bomb.tobuf(tarfile.GNU_FORMAT) + b"x" * 100_000
    (hosts.home(0) / "archive").write_bytes(archive)
    shout = r"printf '\033]52;c;eA==\007\n' >&2"
    hosts.servers[0].replace_programs(find="exec cat ~/list", tar=f"cat >/dev/null; {shout}; exec cat ~/archive")
    bigger = run_script(project, "fetch_results.sh", *hosts.options)
    assert (bigger.returncode, bigger.stdout) == (1, "a\n")
    assert bigger.stderr.startswith("fetch_results: ps: d has 399999994 bytes more than it listed; run fetch again\n")
    (hosts.home(0) / "archive").write_bytes(archive[1024:1300])
    torn = run_script(project, "fetch_results.sh", *hosts.options)
    assert torn.stderr.startswith("fetch_results: ps: what it sends ends too early: ?]52;c;eA==? (exit status 0)\n")
    (hosts.home(0) / "list").write_bytes(b"".join(line + b"\0" for line in listed[:-1]))
    refused = run_script(project, "fetch_results.sh", *hosts.options)
    assert refused.stderr.splitlines()[1:-1] == [
        "failed: b is refused: no file has 5 bytes and the time inf",
        "failed: ?[2J is refused: its name has control characters",
        "failed: ./../c is refused: it leads out of the folder",
    ]
    assert set(snapshot(project / "runs")) == {"a"}


def test_data_is_prepared_here_and_on_every_host(hosts: LoopbackHosts, project: Path) -> None:
    need_fashion_mnist()
    without = run_script(project, "prepare_data.sh", "mnist5k")
    assert without.returncode == 1
    assert "has no .venv/bin/byzshield" in without.stderr
    for folder in (project, hosts.home(0) / "byzshield", hosts.home(1) / "byzshield"):
        give_environment(folder)
    here = run_script(project, "prepare_data.sh", "mnist5k")
    assert here.returncode == 0, here.stderr
    assert "mnist5k: " in here.stdout
    there = run_script(project, "prepare_data.sh", *hosts.options, "--root", str(hosts.folder / "data of all"), "fashion_mnist")
    assert there.returncode == 0, there.stdout + there.stderr
    for alias in ("ps", "worker1"):
        assert f"{alias}: fashion_mnist: " in there.stdout
    assert there.stdout.count(f", mapped from {hosts.folder}/data of all/arrays/fashion_mnist") == 2
    failed = run_script(project, "prepare_data.sh", *hosts.options, "cifar11")
    assert failed.returncode == 1
    assert "2 of 2 hosts failed" in failed.stderr


def test_a_run_is_evaluated_here_and_on_the_first_host(
    hosts: LoopbackHosts, project: Path, tiny_run: Callable[..., RunConfig]
) -> None:
    for folder in (project, hosts.home(0) / "byzshield"):
        give_environment(folder)
    node = hosts.home(0) / "byzshield"
    (node / "run.toml").write_text(dump(tiny_run(run={"output_dir": "runs", "checkpoint_every": 2})))
    subprocess.run([node / ".venv/bin/byzshield", "simulate", "run.toml"], cwd=node, check=True, capture_output=True)
    there = run_script(project, "evaluate.sh", *hosts.options, "runs/tiny", "--watch", "--json")
    assert there.returncode == 0, there.stderr
    assert [row["step"] for row in json.loads(there.stdout)["checkpoints"]] == [2, 4]
    here = run_script(project, "evaluate.sh", str(node / "runs" / "tiny"))
    assert [line.split(":")[0] for line in here.stdout.splitlines()] == ["step 2", "step 4"]
    missing = run_script(project, "evaluate.sh", *hosts.options, "runs/nowhere")
    assert missing.returncode in (1, 2)
    assert "runs/nowhere" in missing.stderr
