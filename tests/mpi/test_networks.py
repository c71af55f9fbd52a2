"""MPI jobs between network namespaces: what a bad network does to a run, and what a hostile host can do to the server's."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from cluster_lab import ClusterLab, ip, require_lab
from polling import wait_for

from byzshield.config import RunConfig, dump
from byzshield.runtime import simulate
from byzshield.runtime.metrics import read_metrics

pytestmark = [pytest.mark.mpi, pytest.mark.timeout(280)]
MPIRUN = str(Path(sys.executable).parent / "mpirun")
SERVER = "10.77.0.1"
CUT_SECONDS = 2

# Runs at every rank; that of a worker's host has MPI start a program on the server's.
SPAWN = f"""
import time
from mpi4py import MPI
if MPI.COMM_WORLD.Get_rank() == 1:
    info = MPI.Info.Create()
    info.Set("host", "{SERVER}")
    MPI.COMM_SELF.Spawn("/bin/sh", ["-c", "hostname -I > $PWD/shell.new; mv $PWD/shell.new $PWD/shell; sleep 100"], info=info)
time.sleep(100)
"""


class Hosts:
    """A server's host and others, each with a network of its own, and mpirun's way from the first to the others.

    Args:
        lab: where they stand; its laptop is the server's host.
        folder: for the program that stands in for ssh.
        others: how many hosts there are besides.
    """

    def __init__(self, lab: ClusterLab, folder: Path, others: int) -> None:
        self.lab = lab
        self.addresses = [SERVER, *(f"10.77.0.{number}" for number in range(2, 2 + others))]
        self.netns = {address: lab.plug_in(f"h{address[-1]}", f"{address}/24") for address in self.addresses[1:]}
        cases = "".join(f"{address}) netns={netns} ;;\n" for address, netns in self.netns.items())
        self._agent = folder / "agent"
        enter = 'exec ip netns exec "$netns" unshare --uts sh -c "hostname $netns; $*"'
        self._agent.write_text(f"#!/bin/sh\ncase $1 in\n{cases}esac\nshift\n{enter}\n")
        self._agent.chmod(0o755)

    def mpirun(self, *words: str) -> list[str]:
        """The words that run a rank on each host; under ULFM over TCP, as train_cluster.sh does."""
        options = ["--with-ft", "ulfm", "--mca", "pml", "ob1", "--mca", "btl", "self,tcp", "--map-by", "node:OVERSUBSCRIBE"]
        options += ["--prtemca", "plm_ssh_agent", str(self._agent), "--prtemca", "plm_ssh_no_tree_spawn", "1"]
        hosts = ["--host", ",".join(self.addresses), "-n", str(len(self.addresses))]
        return self.lab.on_laptop(MPIRUN, *options, *hosts, sys.executable, "-m", "mpi4py", *words)

    def degrade(self) -> str:
        """Makes every link slow and lossy, by what the kernel has; returns what that is."""
        netem, queue = "netem delay 100ms loss 2%", "tbf rate 4mbit burst 4kb limit 12kb"
        made = netem
        for netns in [self.lab.laptop, *self.netns.values()]:
            add = ["ip", "netns", "exec", netns, "tc", "qdisc", "add", "dev", "eth0", "root"]
            if subprocess.run([*add, *netem.split()], capture_output=True).returncode != 0:
                subprocess.run([*add, *queue.split()], check=True)  # drops what does not fit into 12 kB
                made = queue
        return made

    def set_link(self, address: str, state: str) -> None:
        """Plugs the cable of a host in ("up") or out ("down")."""
        ip("link", "set", f"to-h{address[-1]}", state, netns=self.lab.switch)


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[Hosts]:
    require_lab()
    with ClusterLab(tmp_path / "lab", laptop=f"{SERVER}/24") as lab:
        yield Hosts(lab, tmp_path, others=2)


def test_a_link_that_is_slow_lossy_and_cut_for_a_while_changes_no_bit(
    hosts: Hosts,
    tmp_path: Path,
    tiny_run: Callable[..., RunConfig],
    mpi_environment: dict[str, str],
    weights_of: Callable[[Path], dict[str, torch.Tensor]],
    same_weights: Callable[..., bool],
) -> None:
    run_file, directory = tmp_path / "run.toml", tmp_path / "runs" / "lossy"
    run_file.write_text(dump(tiny_run(run={"name": "lossy", "steps": 12}, cluster={"round_timeout": 100.0})))
    made = hosts.degrade()
    words = hosts.mpirun("-m", "patient", "train", str(run_file))  # on a busy machine such a link may be worse than any deadline
    job = subprocess.Popen(words, env=mpi_environment, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        wait_for(lambda: len(read_metrics(directory / "metrics.jsonl")) >= 3, f"3 steps over {made}", 120)
        hosts.set_link(hosts.addresses[2], "down")
        cut_at = len(read_metrics(directory / "metrics.jsonl"))
        with pytest.raises(subprocess.TimeoutExpired):
            job.communicate(timeout=CUT_SECONDS)
        assert len(read_metrics(directory / "metrics.jsonl")) <= cut_at + 1  # this host's votes are missing
        hosts.set_link(hosts.addresses[2], "up")
        _, errors = job.communicate(timeout=120)
    finally:
        job.kill()
    assert job.returncode == 0, errors
    summary = json.loads((directory / "summary.json").read_text())
    assert summary["undecided_files"] == 0
    assert all(
        not any(counts[cause] for cause in ("malformed", "payload_mismatch", "lost")) for counts in summary["blamed"].values()
    )
    simulated, _ = simulate(tiny_run(run={"name": "simulated", "steps": 12}))
    assert same_weights(weights_of(directory), weights_of(simulated.path))


def test_a_hostile_host_has_a_shell_on_the_server_as_the_threat_model_says(
    hosts: Hosts, tmp_path: Path, mpi_environment: dict[str, str]
) -> None:
    # When this fails, MPI has learned to forbid it: take "A shell on the server" out of docs/threat_model.md.
    job = subprocess.Popen(
        hosts.mpirun("-c", SPAWN), env=mpi_environment, cwd=tmp_path, stdin=subprocess.DEVNULL, start_new_session=True
    )
    try:
        shell = wait_for(lambda: (tmp_path / "shell").exists() and (tmp_path / "shell").read_text(), "a shell", 120)
    finally:
        os.killpg(job.pid, 15)
        job.wait(30)
    assert shell.split() == [SERVER]
