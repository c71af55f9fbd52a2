"""setup makes booting hosts into nodes: code, wheels, .venv, the files of .cluster, and the server's key on the workers."""

import stat
import subprocess
from pathlib import Path

import pytest
from laptop import Laptop
from launcher import PYTHONS
from loopback_hosts import copy_scripts, make_quick_python, make_wheel
from polling import wait_for
from ssh_server import SshServer, free_port


@pytest.fixture
def project(laptop: Laptop) -> Path:
    """The laptop's project with the node's real scripts, and requirements that a folder of one small wheel satisfies."""
    copy_scripts(laptop.project, "install_node.sh", "lib", "node")
    laptop.write("requirements-remote.txt", "tiny==1.0\n")
    laptop.write("byzshield/__init__.py", "")
    wheel = make_wheel(laptop.folder / "my wheels", "tiny")
    laptop.settings["node"] = {"packages": [], "wheels": str(wheel.parent), "python": make_quick_python(laptop.folder)}
    return laptop.project


def stand_in(laptop: Laptop, install: str) -> None:
    """Lets `install` be the node's installation, of nothing."""
    lock = "mkdir -p .cluster/locked\necho none==1 --hash=sha256:$(printf '0%.0s' {1..64}) >.cluster/requirements.lock\n"
    laptop.write("scripts/install_node.sh", f"{lock}cp .cluster/requirements.lock .cluster/locked/lock\n{install}")
    copy_scripts(laptop.project, "lib", "node")


def start_host(laptop: Laptop, alias: str) -> SshServer:
    """Starts a host with an address of its own, at which the others reach it, too."""
    address, port = f"127.0.0.{len(laptop.nodes) + 1}", laptop.nodes[0][2] if laptop.nodes else free_port()
    public = laptop.key.with_suffix(".pub").read_text()
    server = SshServer(laptop.folder / alias, authorized=[public], address=address, port=port).wait()
    laptop.known_hosts.write_text(laptop.known_hosts.read_text() + server.known_hosts_line())
    laptop.nodes.append([alias, address, port, address])
    laptop.hosts[alias] = server
    return server


def is_let_in(server: Path, worker: SshServer) -> bool:
    """Whether the parameter server can log in to the worker with what setup has given it."""
    command = ["ssh", "-F", ".cluster/ssh_config", worker.address, "echo in"]
    return subprocess.run(command, cwd=server, capture_output=True, timeout=30).stdout == b"in\n"


@PYTHONS
def test_two_hosts_become_nodes_and_a_second_setup_changes_nothing(laptop: Laptop, project: Path) -> None:
    start_host(laptop, "ps")
    worker = start_host(laptop, "worker1")
    result = laptop.run("setup", timeout=150)
    assert result.returncode == 0, result.stderr
    assert result.stdout == b""
    assert result.stderr.count(b" files of wheels") == result.stderr.count(b"ps: sent 1 files of wheels") == 1
    assert b"worker1: lets the parameter server in\n" in result.stderr
    assert b"worker1: This node is ready: " in result.stderr
    assert b"worker1: installed\n" in result.stderr
    assert result.stderr.endswith(b"\n2 hosts are ready\n")
    for alias in ("ps", "worker1"):
        folder = laptop.directory(alias)
        python = [str(folder / ".venv" / "bin" / "python"), "-c", "import tiny, byzshield; print(tiny.VERSION)"]
        assert subprocess.run(python, capture_output=True, text=True, timeout=30).stdout == "1.0\n"
        assert (folder / ".cluster" / "hosts").read_text() == "127.0.0.1\tps\n127.0.0.2\tworker1\n"
        assert (folder / ".cluster" / "hosts_address").read_text() == "127.0.0.1\n127.0.0.2\n"
        assert (folder / ".cluster" / "hosts_alias").read_text() == "ps\nworker1\n"
        lock = (folder / ".cluster" / "requirements.lock").read_text()
        assert "tiny==1.0 --hash=sha256:" in lock
        assert lock == (laptop.state / "requirements.lock").read_text()
        assert (folder / ".cluster" / "locked" / "tiny-1.0-py3-none-any.whl").exists()
        assert (folder / ".cluster" / "known_hosts").read_text() == laptop.known_hosts.read_text()
        assert all(
            stat.S_IMODE((folder / ".cluster" / name).stat().st_mode) == 0o600 for name in ("hosts", "known_hosts", "pushed")
        )
    assert is_let_in(laptop.directory("ps"), worker)
    assert not (laptop.directory("worker1") / ".cluster" / "id_ed25519").exists()
    authorized = worker.authorized_keys.read_text()
    again = laptop.run("setup", timeout=150)
    assert again.returncode == 0
    assert again.stderr.count(b": sent 0 files (0.000 MB)") == 2
    assert again.stderr.count(b": sent 0 files of wheels (0.000 MB)") == 1
    assert worker.authorized_keys.read_text() == authorized


def test_the_installation_is_told_what_the_settings_say(laptop: Laptop) -> None:
    laptop.host("ps")
    stand_in(laptop, "printf '%s\\n' \"$@\" >told\n")
    node = {"packages": ["rsync", "nfs-common"], "python": "python3.12", "requirements": "other.txt"}
    laptop.settings["node"] = {**node, "torch_index": "https://torch.example/cpu"}
    laptop.settings["file_system"] = {"source": "fs-01.efs:/", "mount_point": "/mnt/shared", "options": "hard"}
    assert laptop.run("setup").returncode == 0
    mount = ["--mount-source", "fs-01.efs:/", "--mount-point", "/mnt/shared", "--mount-type", "nfs4", "--mount-options", "hard"]
    words = ["--packages", "rsync nfs-common", "--python", "python3.12", "--requirements", "other.txt"]
    words += ["--torch-index", "https://torch.example/cpu"]
    assert (laptop.directory("ps") / "told").read_text().splitlines() == words + mount
    assert laptop.run("setup", "--only-mount").returncode == 0
    assert (laptop.directory("ps") / "told").read_text().splitlines() == ["--only-mount", *mount]
    del laptop.settings["file_system"]
    refused = laptop.run("setup", "--only-mount")
    assert (refused.returncode, refused.stderr) == (2, b"setup: the cluster's file has no file_system to mount\n")


def test_a_host_that_fails_is_named_and_catches_up(laptop: Laptop) -> None:
    for alias in ("ps", "worker1", "worker2"):
        start_host(laptop, alias)
    stand_in(laptop, "[[ $PWD != */worker1/* || -e ../mended ]] || { echo 'no room' >&2; exit 1; }\n")
    result = laptop.run("setup")
    assert result.returncode == 1
    assert b"worker1: no room\n" in result.stderr
    assert result.stderr.endswith(b"failed: worker1: scripts/install_node.sh ended with status 1; its message is above\n")
    assert b"worker2: lets the parameter server in" in result.stderr
    (laptop.hosts["worker1"].home / "mended").touch()
    assert laptop.run("setup").returncode == 0
    assert "byzshield cluster" in laptop.hosts["worker1"].authorized_keys.read_text()


def test_without_the_parameter_server_nobody_is_given_its_key(laptop: Laptop) -> None:
    laptop.host("ps")
    laptop.host("worker1")
    stand_in(laptop, "[[ $PWD != */ps/* ]]\n")
    result = laptop.run("setup")
    assert result.returncode == 1
    assert b"failed: ps: it is not ready, and the others follow it; mend it and repeat setup\n" in result.stderr


def test_the_lock_of_the_settings_is_that_of_every_host(laptop: Laptop) -> None:
    for alias in ("ps", "worker1"):
        start_host(laptop, alias)
    stand_in(laptop, "")
    laptop.write("scripts/install_node.sh", "mkdir -p .cluster/locked\ncp .cluster/requirements.lock .cluster/locked/lock\n")
    lock = laptop.write("mine.lock", "# mine\n")
    laptop.settings["node"]["lock"] = str(lock)
    assert laptop.run("setup").returncode == 0
    laptop.settings["node"]["lock"] = None
    assert laptop.run("setup").returncode == 0, "from then on it is the cluster's"
    for alias in ("ps", "worker1"):
        assert (laptop.directory(alias) / ".cluster" / "requirements.lock").read_text() == "# mine\n"
    laptop.settings["node"]["lock"] = "nowhere.lock"
    refused = laptop.run("setup")
    assert (refused.returncode, refused.stderr) == (2, b"setup: node.lock: nowhere.lock: No such file or directory\n")


def test_a_parameter_server_whose_lock_is_none_is_refused(laptop: Laptop) -> None:
    for alias in ("ps", "worker1"):
        start_host(laptop, alias)
    stand_in(laptop, "echo --index-url https://elsewhere.example/simple >>.cluster/requirements.lock\n")
    result = laptop.run("setup")
    assert result.returncode == 1
    assert b"failed: ps: .cluster/requirements.lock is not what install_node.sh writes\n" in result.stderr
    assert not (laptop.state / "requirements.lock").exists()
    assert not (laptop.directory("worker1") / ".cluster" / "requirements.lock").exists()


def test_setup_waits_for_hosts_that_boot_and_for_the_key_to_be_installed(laptop: Laptop) -> None:
    server = laptop.host("ps")
    stand_in(laptop, "true\n")
    key = server.authorized_keys.read_text()
    server.authorized_keys.write_text("")
    server.stop()
    with laptop.start("setup") as process:
        wait_for(lambda: b"ps: waiting for ssh\n" in laptop.stderr, "it waits for ssh")
        late = SshServer(server.folder, port=server.port, host_key=server.host_key).wait()
        laptop.hosts["late"] = late
        wait_for(lambda: b"ps: ssh answers; waiting for the key to be installed\n" in laptop.stderr, "it waits for the key")
        late.authorized_keys.write_text(key)
        assert process.wait(40) == 0
    assert b"1 hosts are ready\n" in laptop.stderr


def test_setup_gives_up_on_a_host_that_never_answers(laptop: Laptop) -> None:
    laptop.add_node("ps")
    stand_in(laptop, "true\n")
    laptop.settings["deadlines"]["ssh"] = 2
    result = laptop.run("setup")
    assert result.returncode == 1
    assert b"failed: ps: no ssh at 127.0.0.1 port " in result.stderr
    assert b"tried for 2 s" in result.stderr


def test_an_installation_that_outlives_its_deadline_is_ended(laptop: Laptop) -> None:
    laptop.host("ps")
    stand_in(laptop, "echo $$ >../pid; sleep 300\n")
    laptop.settings["deadlines"]["setup"] = 2
    result = laptop.run("setup")
    assert result.returncode == 1
    assert b"failed: ps: the command did not end within 2 s" in result.stderr
    pid = int((laptop.hosts["ps"].home / "pid").read_text())
    wait_for(lambda: not Path(f"/proc/{pid}").exists(), "the installation ends")
