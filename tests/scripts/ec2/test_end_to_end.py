"""The launcher from nothing to results to nothing: a live EC2 server, and hosts at the addresses that it hands out.

The hosts are namespaces (cluster_lab.py); what cloud-init does on a real instance, `boot` does here, from the same user data.
Everything runs in the lab's own network, the EC2 server on the laptop's loopback.
"""

import base64
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import drowsy as drowsy_module
import metadata_service
import moto_server
import pytest
import torch
from cloud import CREDENTIALS, UBUNTU
from cluster_lab import ClusterLab, LabHost, ip, require_lab
from drowsy import drowsy
from launcher import PYTHONS, REPOSITORY
from loopback_hosts import make_quick_python
from polling import wait_for
from ssh_server import make_key

from byzshield.config import RunConfig, dump
from byzshield.runtime import simulate
from byzshield.runtime.metrics import read_metrics

pytestmark = [pytest.mark.mpi, pytest.mark.timeout(400)]
PORT = 5000
NUM_WORKERS_HOSTS = 3  # five workers on each: a Latin square, in which no two hold the same file
METADATA_ADDRESS = "169.254.169.254"

# What a cloud-init would be told, as the EC2 server stores it.
INSTANCES = """
import boto3, json, sys
ec2 = boto3.client("ec2", region_name="us-east-1", endpoint_url=sys.argv[1])
pages = ec2.describe_instances(Filters=[{"Name": "instance-state-name", "Values": ["running"]}])["Reservations"]
key = ec2.describe_key_pairs(IncludePublicKey=True)["KeyPairs"]
print(json.dumps([
    {
        "address": item["PrivateIpAddress"],
        "slot": [tag["Value"] for tag in item["Tags"] if tag["Key"] == "byzshield-slot"][0],
        "user_data": ec2.describe_instance_attribute(InstanceId=item["InstanceId"], Attribute="userData")["UserData"]["Value"],
        "key": [pair["PublicKey"] for pair in key if pair["KeyName"] == item["KeyName"]][0],
    }
    for page in pages for item in page["Instances"]
]))
"""
SUBNET = """
import boto3, sys
ec2 = boto3.client("ec2", region_name="us-east-1", endpoint_url=sys.argv[1])
vpc = ec2.create_vpc(CidrBlock="10.77.0.0/16")["Vpc"]["VpcId"]
print(ec2.create_subnet(VpcId=vpc, CidrBlock="10.77.0.0/24", AvailabilityZone="us-east-1a")["Subnet"]["SubnetId"])
"""


class Cloud:
    """A laptop with a clone of the project, an EC2 server, and the hosts of its instances."""

    def __init__(self, python: str, folder: Path, lab: ClusterLab) -> None:
        self.python, self.folder, self.lab = python, folder, lab
        self.url = f"http://127.0.0.1:{PORT}"
        self.environment = {**CREDENTIALS, "HOME": str(folder), "BYZSHIELD_HOME": str(folder / "secrets")}
        self.project = folder / "project"
        self.hosts: dict[int, LabHost] = {}

    def ask(self, program: str) -> str:
        done = self.lab.run(sys.executable, "-c", program, self.url, env=CREDENTIALS)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def launcher(self, command: str, *words: str, status: int = 0, timeout: float = 200.0) -> str:
        """Runs the clone's launcher on the laptop; returns all that it printed."""
        line = [self.python, "scripts/ec2", command, "--config", "lab.json", *words]
        done = self.lab.run(*line, env=self.environment, timeout=timeout, cwd=self.project)
        output = done.stdout + done.stderr
        assert done.returncode == status, output
        assert "Traceback" not in output
        assert not re.search(r"\wWarning\b", output), output  # Python's, such as UserWarning
        assert "PRIVATE KEY" not in output
        return output

    def boot(self, *, impostor: int | None = None) -> None:
        """Starts a host for every instance, as its user data wants it; the impostor has another host key."""
        for instance in json.loads(self.ask(INSTANCES)):
            slot = int(instance["slot"])
            if slot in self.hosts:
                continue
            header, document = base64.b64decode(instance["user_data"]).decode().split("\n", 1)
            assert header == "#cloud-config"
            key = self.folder / f"host_key_{slot}"
            if slot == impostor:
                make_key(key)
            else:
                keys = json.loads(document)["ssh_keys"]
                key.write_text(keys["ed25519_private"])
                key.chmod(0o600)
                key.with_suffix(".pub").write_text(keys["ed25519_public"])
            self.hosts[slot] = self.lab.add_host(f"{instance['address']}/24", authorized=[instance["key"]], host_key=key)

    def replace(self, slot: int) -> None:
        """The host of a slot is started anew, with the host key that it was given."""
        host = self.hosts.pop(slot)
        self.lab.remove(host)
        (self.folder / f"host_key_{slot}").unlink()
        (self.folder / f"host_key_{slot}.pub").unlink()
        self.boot()

    def steps(self, name: str) -> int:
        lines = read_metrics(self.hosts[0].home / "byzshield" / "runs" / name / "metrics.jsonl")
        return lines[-1]["step"] if lines else 0

    def wait_for_steps(self, name: str, steps: int) -> None:
        wait_for(lambda: self.steps(name) >= steps, f"{steps} steps", 120)


def wheels_in(folder: Path) -> None:
    """Writes a wheel that gives a node's .venv what this one has: torch and its kin are gigabytes, and need not be copied."""
    folder.mkdir()
    here = Path(sys.executable).parent
    files = {
        "testbed.pth": f"{Path(torch.__file__).parents[1]}\n",
        "testbed-1.0.data/scripts/mpirun": f'#!/bin/sh\nexec {here}/mpirun "$@"\n',
        "testbed-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: testbed\nVersion: 1.0\n",
        "testbed-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files["testbed-1.0.dist-info/RECORD"] = "".join(f"{name},,\n" for name in [*files, "testbed-1.0.dist-info/RECORD"])
    with zipfile.ZipFile(folder / "testbed-1.0-py3-none-any.whl", "w") as wheel:
        for name, text in files.items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = 0o100755 << 16
            wheel.writestr(entry, text)


@pytest.fixture
def cloud(python: str, tmp_path: Path) -> Iterator[Cloud]:
    """Nothing is launched yet."""
    require_lab()
    with ClusterLab(tmp_path / "lab", laptop="10.77.0.250/24") as lab:
        made = Cloud(python, tmp_path, lab)
        listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        names = subprocess.run(listing, cwd=REPOSITORY, capture_output=True, check=True).stdout
        made.project.mkdir()
        copy = ["rsync", "--archive", "--from0", "--files-from=-", "--ignore-missing-args", f"{REPOSITORY}/", f"{made.project}/"]
        subprocess.run(copy, input=names, check=True)
        with open(tmp_path / "moto.log", "wb") as log:
            command = lab.on_laptop(sys.executable, moto_server.__file__, str(PORT))
            moto = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, **CREDENTIALS})
        try:
            probe = f"curl --silent --output {os.devnull} --retry 60 --retry-delay 1 --retry-connrefused {made.url}"
            assert lab.run(*probe.split()).returncode == 0
            wheels_in(tmp_path / "wheels")
            shutil.copy(drowsy_module.__file__, made.project)
            (made.project / "requirements-lab.txt").write_text("testbed\n")
            table = {
                "region": "us-east-1",
                "endpoint_url": made.url,
                "subnet": made.ask(SUBNET).strip(),
                "image": UBUNTU,
                "ssh_user": "root",
                "ssh_from": "10.77.0.250/32",
                "address": "private",
                "market": "spot",
                "workers": {"count": NUM_WORKERS_HOSTS},
                "node": {
                    "packages": ["openssh-server", "rsync"],
                    "python": make_quick_python(tmp_path),
                    "requirements": "requirements-lab.txt",
                    "wheels": str(tmp_path / "wheels"),
                },
                "file_system": {
                    "source": str(tmp_path / "shared"),
                    "mount_point": str(tmp_path / "mounted"),
                    "type": "none",
                    "options": "bind",
                },
                "job": {"run_file": "lab.toml", "ranks_per_host": 1},
                "deadlines": {"ssh": 20, "setup": 120, "job_stop": 60},
            }
            (tmp_path / "shared").mkdir()
            (tmp_path / "shared" / "data").write_text("for all nodes\n")
            (made.project / "lab.json").write_text(json.dumps(table))
            yield made
        finally:
            moto.kill()
            moto.wait(10)


@PYTHONS
def test_from_nothing_to_results_to_nothing(
    cloud: Cloud,
    tiny_run: Callable[..., RunConfig],
    tmp_path: Path,
    weights_of: Callable[[Path], dict[str, torch.Tensor]],
    same_weights: Callable[..., bool],
) -> None:
    # The host that dies takes the liars with it, and one copy of every file: all else stays decidable, whoever is asked.
    attack = {"name": "alie", "num_byzantine": 3, "selection": "fixed", "workers": [10, 11, 12]}
    # A mean, because hosts that were never used would have to compile any other rule.
    sections: dict[str, Any] = {"attack": attack, "optimizer": {"momentum": 0.9}, "aggregation": {"rule": "mean"}}
    run = {"name": "lab", "steps": 60, "output_dir": "runs", "checkpoint_every": 5, "eval_every": 30}
    config = dump(tiny_run(run=run, model=drowsy(0.002), **sections))
    (cloud.project / "lab.toml").write_text(config)

    cloud.launcher("launch", "--yes")
    cloud.boot(impostor=2)
    limits = cloud.hosts[1].folder / "etc" / "byzshield-host-limits"  # which an instance has from its user data
    limits.write_text("root byzshield 1 10\n")
    refused = cloud.launcher("setup", status=1)
    assert "worker2" in refused
    assert "nothing was sent to it" in refused
    assert "worker3: does not end by itself" in refused
    assert limits.read_text() == "root byzshield 48 60\n"
    assert not (cloud.hosts[2].home / "byzshield").exists(), "nothing goes to a host that is not who it should be"
    cloud.replace(2)
    cloud.launcher("setup")
    assert "sent 0 files" in cloud.launcher("setup")

    (cloud.project / "lab.toml").write_text(config + "\n# touched\n")
    pushed = cloud.launcher("push")
    assert pushed.count("sent 1 files") == 1 + NUM_WORKERS_HOSTS
    seen = cloud.launcher(
        "run", "--on", "workers", "--", f"cat {tmp_path}/mounted/data; stat -c %a .cluster ~/.ssh/authorized_keys"
    )
    assert seen.count("for all nodes") == NUM_WORKERS_HOSTS
    assert seen.count("700") == seen.count("600") == NUM_WORKERS_HOSTS
    keys = [path.relative_to(host.folder) for host in cloud.hosts.values() for path in host.home.rglob("id_ed25519")]
    assert keys == [Path("home/byzshield/.cluster/id_ed25519")], "the parameter server's own key, and no other"

    cloud.launcher("train")
    cloud.wait_for_steps("lab", 12)
    cloud.hosts[3].die()
    log = cloud.launcher("logs")
    assert "the job has broken off; it goes on from its newest checkpoint (restart 1 of 3)" in log
    assert "results in runs/lab" in log
    cloud.launcher("fetch", "--output", str(tmp_path / "fetched"), "lab")
    simulated, _ = simulate(tiny_run(run={**run, "name": "simulated", "output_dir": str(tmp_path / "runs")}, **sections))
    assert same_weights(weights_of(tmp_path / "fetched" / "lab"), weights_of(simulated.path))

    assert "worker3" in cloud.launcher("run", "--", "true", status=1)
    cloud.launcher("terminate", "--yes")
    assert json.loads(cloud.ask(INSTANCES)) == []
    assert not list((tmp_path / "secrets").rglob("id_ed25519"))


@pytest.mark.parametrize("python", [sys.executable])
def test_a_notice_of_interruption_ends_the_job_with_a_checkpoint(cloud: Cloud, tiny_run: Callable[..., RunConfig]) -> None:
    run = {"name": "lab", "steps": 100_000, "output_dir": "runs"}
    (cloud.project / "lab.toml").write_text(dump(tiny_run(run=run, model=drowsy(0.01), aggregation={"rule": "mean"})))
    table = json.loads((cloud.project / "lab.json").read_text())
    (cloud.project / "lab.json").write_text(json.dumps({**table, "workers": {"count": 1}}))
    cloud.launcher("launch", "--yes")
    cloud.boot()
    services = []
    try:
        for host in cloud.hosts.values():
            ip("addr", "add", f"{METADATA_ADDRESS}/32", "dev", "lo", netns=host.netns)
            command = ["ip", "netns", "exec", host.netns, sys.executable, metadata_service.__file__, str(host.folder)]
            services.append(subprocess.Popen([*command, METADATA_ADDRESS, "80"]))
        cloud.launcher("setup")
        cloud.launcher("train")
        cloud.wait_for_steps("lab", 3)
        (cloud.hosts[1].folder / "notice").write_text('{"action": "terminate", "time": "2026-01-01T00:00:00Z"}')
        log = cloud.launcher("logs", status=143)
        assert "host will be interrupted" in log
        assert f"stopped after step {cloud.steps('lab')} of 100000, which is stored" in log
        left = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True).stdout
        assert f"{cloud.lab.home}/byzshield/scripts/node/watch_interruption.sh" not in left
        assert "no job is running" in cloud.launcher("stop-job")
        cloud.launcher("terminate", "--yes")
    finally:
        for service in services:
            service.kill()
            service.wait()
