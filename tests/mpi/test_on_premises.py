"""From hosts that answer to ssh to results on the laptop, by the documented commands: real sshds, networks and mpirun."""

import json
import subprocess
import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cluster_lab import ClusterLab, require_lab
from loopback_hosts import PYTHON, make_project
from needs import need
from ssh_server import make_key

from byzshield.config import RunConfig, dump

ADDRESSES = ("10.77.0.1", "10.77.0.2", "10.77.0.3")


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[ClusterLab]:
    require_lab()
    need("ssh", "git", "flock")
    with ClusterLab(tmp_path / "lab", laptop="10.77.0.100/24") as made:
        yield made


def give_environment(project: Path) -> None:
    """A .venv with what a node would download: the environment that runs the tests lends it."""
    venv = project / ".venv"
    subprocess.run([PYTHON, "-m", "venv", "--without-pip", venv], check=True)
    (next(venv.glob("lib/python*/site-packages")) / "lent.pth").write_text(sysconfig.get_path("purelib") + "\n")
    (venv / "bin" / "mpirun").write_text(f'#!/bin/sh\nexec {sysconfig.get_path("scripts")}/mpirun "$@"\n')
    (venv / "bin" / "mpirun").chmod(0o755)


@pytest.mark.mpi
def test_three_hosts_become_a_cluster_that_trains(lab: ClusterLab, tmp_path: Path, tiny_run: Callable[..., RunConfig]) -> None:
    project = make_project(tmp_path / "checkout")
    (project / "configs").mkdir()
    (project / "configs" / "tiny.toml").write_text(dump(tiny_run(run={"output_dir": "runs"})))
    key, known_hosts, config = make_key(tmp_path / "laptop_key"), tmp_path / "known_hosts", tmp_path / "ssh_config"
    public = key.with_suffix(".pub").read_text()
    hosts = [lab.add_host(f"{address}/24", authorized=[public]) for address in ADDRESSES]
    known_hosts.write_text("".join(host.sshd.known_hosts_line(host.address) for host in hosts))
    config.write_text(f"Host *\n  IdentityFile {key}\n  UserKnownHostsFile {known_hosts}\n  GlobalKnownHostsFile /dev/null\n")
    (project / "hosts").write_text("\n".join(ADDRESSES) + "\n")
    for host in hosts:
        give_environment(host.home / "byzshield")

    def laptop(script: str, *words: str) -> subprocess.CompletedProcess[str]:
        return lab.run("bash", str(project / "scripts" / script), "--ssh-config", str(config), *words)

    ready = laptop("setup_nodes.sh", "--wheels", str(tmp_path / "wheels"))
    assert ready.returncode == 0, ready.stdout + ready.stderr
    train = "cd byzshield && bash scripts/train_cluster.sh --ranks-per-host 2 configs/tiny.toml"
    trained = lab.run("ssh", "-F", str(config), ADDRESSES[0], train, timeout=90.0)
    assert trained.returncode == 0, trained.stdout + trained.stderr
    assert trained.stdout.startswith("runs/tiny begins at step 0\n")
    ranks = [f"{address} slots={slots}" for address, slots in zip(ADDRESSES, (1, 2, 2), strict=True)]
    assert (hosts[0].home / "byzshield" / ".job" / "hosts").read_text().splitlines() == ranks
    fetched = laptop("fetch_results.sh", "tiny")
    assert fetched.returncode == 0, fetched.stderr
    assert json.loads((project / "runs" / "tiny" / "summary.json").read_text())["steps"] == 4
    # mpirun came in by the cluster's key, from the server's address.
    for host in hosts[1:]:
        assert host.sshd.authorized_keys.read_text().count('restrict,from="10.77.0.1"') == 1
