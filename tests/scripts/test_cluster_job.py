"""Who starts where: the hosts of a job and the ranks on each, with programs in place of ssh and mpirun."""

import os
import subprocess
from pathlib import Path

import pytest
from loopback_hosts import copy_scripts

# Says how many physical cores a host has, as the test wrote it down; a host without a line is not reached.
SSH = """#!/bin/bash
line=$(grep "^$5 " cores) || exit 255
echo "${line#* }"
"""
# Ends the job with success, as the server does.
MPIRUN = """#!/bin/bash
printf '%s\\n' "$@" >words
echo 0 >.job/exit
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    copy_scripts(tmp_path, "lib", "node")
    (tmp_path / ".job").mkdir()
    for name, text in (("ssh", SSH), ("mpirun", MPIRUN)):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    return tmp_path


def ranks(project: Path, cores: dict[str, str], *, ranks: int = 0, per_host: int = 0, workers: int = 0, behind: str = "") -> str:
    """The hosts of ranks 0, 1, ... of a job on ps and these hosts; the last letter of each."""
    lines = ["# the server's first", "10.0.0.p", *(f"10.0.0.{name}{behind}" for name in cores)]
    (project / "hosts").write_text("".join(f"{line}\n" for line in lines))
    (project / "cores").write_text("".join(f"10.0.0.{name} {text}\n" for name, text in cores.items()))
    words = ["hosts", str(ranks), str(per_host), str(workers), "0", "0", "./mpirun", "--", "program"]
    command = ["bash", "scripts/node/cluster_job.sh", *words]
    done = subprocess.run(command, cwd=project, env={**os.environ, "SSH": "./ssh"}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = [line.split(" slots=") for line in (project / ".job" / "hosts").read_text().splitlines()]
    placed = "".join(host[-1] * int(slots) for host, slots in lines)
    passed = (project / "words").read_text().splitlines()
    assert passed[passed.index("-n") + 1] == str(len(placed))
    return placed


def test_every_workers_host_has_as_many_ranks_as_physical_cores(project: Path) -> None:
    assert ranks(project, {"a": "2", "b": "2", "c": "2"}, workers=15) == "paabbcc"


@pytest.mark.parametrize("behind", [" slots=9", ":9", "\tworker", "\r"])
def test_what_stands_behind_a_host_in_its_line_does_not_matter(project: Path, behind: str) -> None:
    assert ranks(project, {"a": "2", "b": "2"}, workers=15, behind=behind) == "paabb"


def test_there_are_never_more_ranks_than_workers(project: Path) -> None:
    assert ranks(project, {"a": "4", "b": "4"}, workers=5) == "paabbb"
    assert ranks(project, {"a": "4", "b": "4"}, ranks=99, workers=5) == "paabbb"


def test_a_host_without_a_rank_is_left_out(project: Path) -> None:
    assert ranks(project, {"a": "2", "b": "2", "c": "2"}, workers=2) == "pbc"


def test_ranks_and_ranks_per_host_are_what_is_asked_for(project: Path) -> None:
    assert ranks(project, {"a": "2", "b": "2"}, per_host=3, workers=15) == "paaabbb"
    assert ranks(project, {"a": "2", "b": "2"}, ranks=4, workers=15) == "pabb"


@pytest.mark.parametrize("claim", ["512", "0", "-1", "9" * 40, "two", "3 3 3"])
def test_no_host_gets_more_or_fewer_ranks_by_what_it_says_of_its_cores(project: Path, claim: str) -> None:
    assert ranks(project, {"a": "2", "b": claim, "c": "2"}, workers=15) == "paabbcc"
