"""What launch hands over is what ssh meets: real sshds with the keys that the instances were given."""

import base64
import getpass
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from cloud import Cluster
from launcher import PYTHONS
from ssh_server import SshServer, free_port


@pytest.fixture
def boot(cluster: Cluster, tmp_path: Path) -> Iterator[Callable[..., SshServer]]:
    """Returns a function that starts a slot's sshd, as cloud-init would from the instance's user data."""
    with ExitStack() as running:

        def start(slot: str, *, impostor: bool = False) -> SshServer:
            identity = cluster.slots()[slot]
            (instance,) = [instance for instance in cluster.instances() if instance["InstanceId"] == identity]
            attribute = cluster.client.describe_instance_attribute(InstanceId=identity, Attribute="userData")
            keys = json.loads(base64.b64decode(attribute["UserData"]["Value"]).decode().split("\n", 1)[1])["ssh_keys"]
            folder = tmp_path / f"host{slot}"
            folder.mkdir(exist_ok=True)
            host_key = folder / "given_key"
            host_key.write_text(keys["ed25519_private"])
            host_key.chmod(0o600)
            imported = next(form for action, form in cluster.front.calls if action == "ImportKeyPair")["PublicKeyMaterial"]
            address = f"127.0.7.{int(slot) + 1}"
            cluster.front.addresses[instance["PublicIpAddress"]] = address
            server = SshServer(
                folder,
                authorized=[base64.b64decode(imported).decode()],
                address=address,
                port=json.loads(cluster.config.read_text())["ssh_port"],
                host_key=None if impostor else host_key,
            )
            running.callback(server.stop)
            return server.wait()

        yield start


@pytest.fixture
def launched(cluster: Cluster) -> Cluster:
    """A parameter server and a worker at a port of the test's own."""
    deadlines = {"ssh": 10, "launch": 20, "look": 5}
    cluster.configure(ssh_port=free_port(), ssh_user=getpass.getuser(), workers={"count": 1}, deadlines=deadlines)
    cluster.run("launch", "--yes")
    return cluster


@PYTHONS
def test_the_first_connection_is_to_a_known_host(launched: Cluster, boot: Callable[..., SshServer]) -> None:
    boot("0")
    boot("1")

    result = launched.run("run", "--", "echo", "hello")

    assert sorted(line.split()[-1] for line in result.stdout.splitlines()) == ["hello", "hello"]
    assert "ps" in result.stdout
    assert "worker1" in result.stdout


@PYTHONS
def test_another_host_at_the_address_is_not_spoken_to(launched: Cluster, boot: Callable[..., SshServer]) -> None:
    boot("0")
    boot("1", impostor=True)

    result = launched.run("run", "--", "echo", "hello", status=1)

    assert [line.split()[-1] for line in result.stdout.splitlines()] == ["hello"]
    assert "worker1" in result.stderr
    assert "does not have the key" in result.stderr


def test_the_jobs_files_say_who_is_idle_and_what_was_not_fetched(launched: Cluster, boot: Callable[..., SshServer]) -> None:
    homes = [boot(slot).home for slot in "01"]
    project = homes[0] / "byzshield"
    for home, answer in zip(homes, ("echo 5400 running\n", "exec yes 1\n"), strict=True):
        script = home / "byzshield" / "scripts" / "node" / "host_use.sh"
        script.parent.mkdir(parents=True)
        script.write_text(answer)
    for folder in (".job", "runs/lab"):
        (project / folder).mkdir(parents=True)
    (project / "runs" / "lab" / "metrics.jsonl").write_text("{}\n")

    idle = launched.run("list-idle")

    (line,) = idle.stdout.splitlines()[1:]
    assert "  job silent for 90 min  " in line
    assert launched.slots()["0"] in line
    assert "use unknown: worker1: it does not say whether it is used; is it set up?" in idle.stderr
    lost = launched.run("terminate", "--dry-run").stderr
    assert "a job is running on ps" in lost
    assert "not fetched: 1 files (0.000 MB) of lab (1)" in lost
    (project / ".job").rmdir()
    launched.run("fetch", "--output", str(launched.folder / "results"))
    assert "not fetched" not in launched.run("terminate", "--dry-run").stderr
