"""What ends a host that nobody uses, or whose hours are over; programs that write down their words stand for systemd."""

import getpass
import os
import subprocess
import time
from pathlib import Path

import pytest
from loopback_hosts import copy_scripts

SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project on the host, that was used long ago."""
    folder = tmp_path / "project"
    folder.mkdir()
    copy_scripts(folder, "lib", "node", "stop.sh")
    return folder


def use(project: Path, tmp_path: Path) -> tuple[int, str]:
    """What host_use.sh says where nobody is at a terminal."""
    (tmp_path / "terminals").mkdir(exist_ok=True)
    environment = {**os.environ, "TERMINALS": str(tmp_path / "terminals")}
    command = ["bash", str(project / "scripts" / "node" / "host_use.sh")]
    said = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.split()
    return int(said[0]), said[1]


def touch(path: Path, seconds_ago: float) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    os.utime(path, 2 * (time.time() - seconds_ago,))


@pytest.mark.parametrize("name", [".job/log", ".cluster/hosts", "runs/lab/metrics.jsonl", "../terminals/0"])
def test_a_host_is_used_while_its_files_change(project: Path, tmp_path: Path, name: str) -> None:
    before, job = use(project, tmp_path)
    assert job == "none"
    touch(project / name, min(before, 7000) / 2)

    seconds, _ = use(project, tmp_path)

    assert seconds == pytest.approx(min(before, 7000) / 2, abs=5)


def test_a_job_that_runs_and_writes_nothing_is_no_use(project: Path, tmp_path: Path) -> None:
    before, _ = use(project, tmp_path)
    # Its name is what counts: a worker's host has nothing but such processes.
    program = tmp_path / "python3"
    program.symlink_to("/bin/sleep")
    with subprocess.Popen([program, "60"], cwd=project, start_new_session=True) as process:
        assert use(project, tmp_path) == (0, "none")
        started = Path(f"/proc/{process.pid}/stat").read_text().split()[21]
        touch(project / ".job" / "leader", 0)
        (project / ".job" / "leader").write_text(f"{process.pid} {started}\n")
        os.utime(project / ".job" / "leader", 2 * (time.time() - min(before, 7000),))
        seconds, job = use(project, tmp_path)
        process.kill()
    assert job == "running"
    assert seconds == pytest.approx(min(before, 7000), abs=5)


class Host:
    """A host's system folders, with a systemctl and a shutdown that only note their words."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "root"
        for name in ("bin", "etc", "proc"):
            (self.root / name).mkdir(parents=True)
        for name in ("systemctl", "shutdown"):
            program = self.root / "bin" / name
            program.write_text(f'#!/bin/sh\necho {name} "$@" >>{self.root}/said\n')
            program.chmod(0o755)
        self.has_run(0)

    def has_run(self, hours: float) -> None:
        (self.root / "proc" / "uptime").write_text(f"{3600 * hours:.2f} 1.00\n")

    def limits(self, *words: str, status: int = 0) -> str:
        """Runs host_limits.sh; returns what it and the system's programs said."""
        (self.root / "said").write_text("")
        environment = {**os.environ, "ROOT": str(self.root), "PATH": f"{self.root}/bin:{os.environ['PATH']}"}
        command = ["bash", str(SCRIPTS / "node" / "host_limits.sh"), *words]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode == status, done.stderr
        return done.stdout + (self.root / "said").read_text()


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def answer(project: Path, line: str) -> None:
    """The project's host_use.sh says that from now on."""
    (project / "scripts" / "node" / "host_use.sh").write_text(f"echo '{line}'\n")


def test_systemd_is_told_to_look_every_minute(host: Host) -> None:
    said = host.limits("install", "ubuntu", "byzshield", "48", "60")

    assert "systemctl enable --now byzshield-host-limits.timer" in said
    copy = host.root / "usr" / "local" / "sbin" / "byzshield-host-limits"
    assert copy.read_bytes() == (SCRIPTS / "node" / "host_limits.sh").read_bytes()
    units = sorted((host.root / "etc" / "systemd" / "system").iterdir())
    checked = subprocess.run(["systemd-analyze", "verify", *units], capture_output=True, text=True)
    assert (checked.returncode, checked.stderr) == (0, "")


@pytest.mark.parametrize(
    ("hours", "used", "why"),
    [
        (0.9, "3240 none", None),
        (1.1, "3960 none", "nobody has used it for 60 minutes"),
        (1.1, "5 none", None),
        (30, "3700 running", "nobody has used it for 60 minutes"),
        (47.9, "5 none", None),
        (47.95, "5 running", "its 48 hours are nearly over"),
        (48, "5 none", "its 48 hours are over"),
        (1.1, "what?", "nobody has used it for 60 minutes"),
        (0.5, "99999999 none", None),
    ],
)
def test_a_host_ends_when_a_limit_is_over(host: Host, project: Path, hours: float, used: str, why: str | None) -> None:
    host.limits("set", getpass.getuser(), str(project), "48", "60")
    answer(project, used)
    host.has_run(hours)

    said = host.limits("check")

    assert ("shutdown -h now" in said) == (why is not None)
    assert why is None or f"this host is shut down: {why}" in said


def test_the_job_is_ended_before_its_host(host: Host, project: Path) -> None:
    host.limits("set", getpass.getuser(), str(project), "0", "60")
    answer(project, "4000 running")
    (project / "scripts" / "stop.sh").write_text(f'echo stop.sh "$@" >>{host.root}/said\n')
    host.has_run(100)

    assert host.limits("check").splitlines()[-2:] == ["stop.sh --grace 240", "shutdown -h now"]


def test_no_limit_is_none(host: Host, project: Path) -> None:
    host.limits("set", getpass.getuser(), str(project), "0", "0")
    answer(project, "90000 none")
    host.has_run(10000)

    assert host.limits("check") == ""


def test_limits_that_are_no_numbers_are_refused(host: Host) -> None:
    host.limits("set", "ubuntu", "byzshield", "48", "soon", status=2)

    assert not (host.root / "etc" / "byzshield-host-limits").exists()
