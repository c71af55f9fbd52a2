"""cluster_key.sh: the key stays where it is made, and opens the workers for little else than commands from one address."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from loopback_hosts import copy_scripts, run_script, snapshot
from needs import need
from ssh_server import SshServer, make_key

MARK = "byzshield cluster in "


@pytest.fixture
def node(tmp_path: Path) -> Path:
    """A node's project in a home with a space in its name."""
    need("ssh", "ssh-keygen", "flock")
    project = tmp_path / "a home" / "byzshield"
    copy_scripts(project, "lib", "node")
    return project


def run(node: Path, *words: str, input: str = "") -> subprocess.CompletedProcess[str]:
    return run_script(node, "node/cluster_key.sh", *words, env={"HOME": str(node.parent)}, input=input)


def mode(path: Path) -> str:
    return f"{path.stat().st_mode & 0o777:o}"


def test_the_key_is_made_once_and_only_its_public_part_is_printed(node: Path) -> None:
    done = run(node, "make")
    assert done.returncode == 0, done.stderr
    kind, _, comment = done.stdout.rstrip("\n").split(" ", 2)
    assert (kind, comment) == ("ssh-ed25519", f"byzshield cluster of {os.uname().nodename}")
    cluster = node / ".cluster"
    assert (mode(cluster), mode(cluster / "id_ed25519"), mode(cluster / "ssh_config")) == ("700", "600", "600")
    before = snapshot(node)
    assert run(node, "make").stdout == done.stdout
    assert snapshot(node) == before


def test_modes_that_others_could_read_are_mended(node: Path) -> None:
    run(node, "make")
    os.chmod(node / ".cluster", 0o755)
    os.chmod(node / ".cluster" / "id_ed25519", 0o644)
    assert run(node, "make").returncode == 0
    assert (mode(node / ".cluster"), mode(node / ".cluster" / "id_ed25519")) == ("700", "600")


def test_ssh_reads_its_configuration_as_it_is_meant(node: Path) -> None:
    (node / ".cluster").mkdir()
    (node / ".cluster" / "hosts").write_text("10.0.0.1\tps\n10.0.0.2\tworker1\n")
    assert run(node, "make", "--user", "trainer", "--port", "2222").returncode == 0
    command = ["ssh", "-F", str(node / ".cluster" / "ssh_config"), "-G", "worker1"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    settings = dict(line.split(" ", 1) for line in lines)
    assert settings["hostname"] == "10.0.0.2"
    assert (settings["user"], settings["port"]) == ("trainer", "2222")
    assert settings["identityfile"] == str(node / ".cluster" / "id_ed25519")
    assert settings["userknownhostsfile"] == str(node / ".cluster" / "known_hosts")
    assert settings["globalknownhostsfile"] == "/dev/null"
    assert settings["stricthostkeychecking"] in ("yes", "true")
    assert (settings["batchmode"], settings["identitiesonly"], settings["connecttimeout"]) == ("yes", "yes", "15")


def test_a_worker_gets_one_line_and_its_other_lines_stay(node: Path) -> None:
    first, second = run(node, "make").stdout, make_key(node.parent / "second").with_suffix(".pub").read_text()
    keys = node.parent / ".ssh" / "authorized_keys"
    keys.parent.mkdir(mode=0o755)
    other = f'# mine\n\nssh-ed25519 AAAA \\n "me" {MARK}{node}/else\ncommand="x" ssh-rsa BBBB'  # no newline at the end
    keys.write_text(other)
    os.chmod(keys, 0o644)
    assert run(node, "authorize", "--from", "10.0.0.1", input=first).returncode == 0
    line = f'restrict,from="10.0.0.1" {" ".join(first.split()[:2])} {MARK}{node}\n'
    assert keys.read_text() == f"{other}\n{line}"
    assert (mode(keys), mode(keys.parent)) == ("600", "700")
    written = keys.stat().st_mtime_ns
    assert run(node, "authorize", "--from", "10.0.0.1", input=first).returncode == 0
    assert keys.stat().st_mtime_ns == written
    assert run(node, "authorize", "--from", "10.0.0.7,fd00::7", input=second).returncode == 0
    line = f'restrict,from="10.0.0.7,fd00::7" {" ".join(second.split()[:2])} {MARK}{node}\n'
    assert keys.read_text() == f"{other}\n{line}"
    assert sorted(path.name for path in keys.parent.iterdir()) == ["authorized_keys"]


def test_a_name_is_looked_up_where_the_key_is_used(node: Path) -> None:
    assert run(node, "authorize", "--from", "localhost", input=run(node, "make").stdout).returncode == 0
    assert '"127.0.0.1' in (node.parent / ".ssh" / "authorized_keys").read_text()
    done = run(node, "authorize", "--from", "no-such-host.invalid", input=run(node, "make").stdout)
    assert (done.returncode, done.stderr) == (1, "cluster_key: this host knows no address of no-such-host.invalid\n")


@pytest.mark.parametrize(
    "change",
    [
        lambda line: "",
        lambda line: line + line,
        lambda line: f'command="rm -rf /" {line}',
        lambda line: line.replace("AAAAC3", "AAAAC4"),
        lambda line: line.replace("ssh-ed25519", "ssh-rsa"),
        lambda line: line.rstrip("\n") + "\x1b[2J\n",
        lambda line: "-----BEGIN OPENSSH PRIVATE KEY-----\n",
    ],
)
def test_anything_but_one_public_key_is_refused(node: Path, change: Callable[[str], str]) -> None:
    done = run(node, "authorize", "--from", "10.0.0.1", input=change(run(node, "make").stdout))
    assert done.returncode == 2
    assert "standard input must be one line, a public key" in done.stderr
    assert not (node.parent / ".ssh" / "authorized_keys").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "say make or authorize"),
        (["authorize"], "authorize needs --from ADDRESS"),
        (["authorize", "--from", '1.2.3.4" ssh-rsa AAAA'], "--from must be addresses"),
        (["authorize", "--from", "*"], "--from must be addresses, got '*'"),
        (["authorize", "--from", ","], "--from must be addresses"),
        (["make", "--user", "-x"], "'-x' is no user's name"),
        (["make", "--port", "ssh"], "'ssh' is no port"),
        (["make", "--from", "10.0.0.1"], "make has no option --from"),
    ],
)
def test_a_wrong_request_is_refused_in_one_line(node: Path, words: list[str], message: str) -> None:
    done = run(node, *words)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_sshd_takes_the_key_from_its_address_and_from_no_other(node: Path, tmp_path: Path) -> None:
    need("sshd")
    public = run(node, "make").stdout
    server = SshServer(tmp_path / "worker")
    try:
        server.wait()
        worker = server.home / "byzshield"
        shutil.copytree(node / "scripts", worker / "scripts")
        config, cluster = str(node / ".cluster" / "ssh_config"), node / ".cluster"
        (cluster / "known_hosts").write_text(server.known_hosts_line())
        assert run(node, "make", "--port", str(server.port)).returncode == 0

        def reach(address: str) -> subprocess.CompletedProcess[str]:
            done = run_script(
                worker, "node/cluster_key.sh", "authorize", "--from", address, env={"HOME": str(server.home)}, input=public
            )
            assert done.returncode == 0, done.stderr
            command = ["ssh", "-F", config, "127.0.0.1", "echo", "$((6 * 7)) && exit 5"]
            return subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)

        allowed = reach("127.0.0.1")
        assert (allowed.returncode, allowed.stdout) == (5, "42\n"), allowed.stderr
        assert reach("127.0.0.2").returncode == 255
    finally:
        server.stop()
