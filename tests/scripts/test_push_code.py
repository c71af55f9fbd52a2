"""push_code.sh against real sshds: what git knows arrives, what has gone here goes there, and nothing else is touched."""

import os
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from loopback_hosts import LoopbackHosts, make_project, run_script, snapshot


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return make_project(tmp_path / "it's a checkout")


def push(project: Path, hosts: LoopbackHosts, *words: str) -> subprocess.CompletedProcess[str]:
    return run_script(project, "push_code.sh", *hosts.options, *words)


def test_what_git_knows_and_does_not_ignore_arrives_on_every_host(hosts: LoopbackHosts, project: Path) -> None:
    (project / "new file.toml").write_text("[run]\n")
    (project / "link").symlink_to("new file.toml")
    (project / ".venv").mkdir()
    (project / ".venv" / "big").write_text("ignored")
    os.chmod(project / "new file.toml", 0o666)
    done = push(project, hosts)
    assert done.returncode == 0, done.stdout + done.stderr
    tracked = subprocess.run(["git", "-C", project, "ls-files"], capture_output=True, text=True, check=True).stdout.splitlines()
    assert f"worker1: {len(tracked) + 2} of {len(tracked) + 2} files were new or changed" in done.stdout
    for index in range(2):
        node = hosts.home(index) / "byzshield"
        files = {str(path.relative_to(node)) for path in node.rglob("*") if path.is_file()}
        assert files == {*tracked, "new file.toml", "link", ".cluster/pushed"}
        assert (node / "link").readlink() == Path("new file.toml")
        assert f"{(node / 'new file.toml').stat().st_mode & 0o777:o}" == "644", "nothing that others may write to"


def test_no_private_key_leaves_this_machine(hosts: LoopbackHosts, project: Path) -> None:
    key = project / "tools" / "virginia key.pem"
    key.parent.mkdir()
    key.write_text("-----BEGIN RSA PRIVATE KEY-----\n")
    (project / "readme.pem").write_text("about -----BEGIN RSA PRIVATE KEY-----\n")
    done = push(project, hosts)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "tools/virginia key.pem holds a private key, and stays here" in done.stderr
    node = hosts.home(0) / "byzshield"
    assert (node / "readme.pem").exists()
    assert not (node / "tools").exists()


def test_a_second_push_sends_what_has_changed_alone(hosts: LoopbackHosts, project: Path) -> None:
    push(project, hosts)
    before = [snapshot(hosts.home(index)) for index in range(2)]
    assert "ps: 0 of" in push(project, hosts).stdout
    assert [snapshot(hosts.home(index)) for index in range(2)] == before
    (project / "requirements-remote.txt").write_text("other\n")
    assert "ps: 1 of" in push(project, hosts).stdout
    assert (hosts.home(1) / "byzshield" / "requirements-remote.txt").read_text() == "other\n"


def test_what_a_push_brought_goes_with_its_source_and_the_hosts_own_files_stay(hosts: LoopbackHosts, project: Path) -> None:
    (project / "old" / "deep").mkdir(parents=True)
    (project / "old" / "deep" / "file").touch()
    (project / "was a folder").mkdir()
    (project / "was a folder" / "file").touch()
    push(project, hosts)
    node = hosts.home(0) / "byzshield"
    own = [node / "runs" / "first" / "metrics.jsonl", node / ".venv" / "x", node / ".cluster" / "hosts", node / "mine" / "notes"]
    for path in [*own, node / "old" / "mine"]:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("keep")
    for folder in ("old/deep", "old", "was a folder"):
        for path in (project / folder).iterdir():
            path.unlink()
        (project / folder).rmdir()
    (project / "was a folder").write_text("now a file")
    done = push(project, hosts)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ps: removed old/deep/file" in done.stdout
    assert not (node / "old" / "deep").exists()
    assert (node / "was a folder").read_text() == "now a file"
    assert all(path.read_text() == "keep" for path in [*own, node / "old" / "mine"])
    assert not (hosts.home(1) / "byzshield" / "old").exists(), "an empty folder goes, too"


def test_the_hosts_own_folders_are_safe_from_what_its_list_says(hosts: LoopbackHosts, project: Path) -> None:
    push(project, hosts)
    node = hosts.home(0) / "byzshield"
    own = ["runs/result", ".job/log", ".data/images", ".venv/python", ".cluster/hosts", "../private", "scripts/../../private"]
    for name in own:
        (node / name).parent.mkdir(exist_ok=True)
        (node / name).write_text("precious")
    listed = node / ".cluster" / "pushed"
    names = [*listed.read_bytes().split(b"\0")[:-1], *(name.encode() for name in own), b"not there"]
    listed.write_bytes(b"".join(name + b"\0" for name in sorted(names)))
    done = push(project, hosts)
    assert done.returncode == 0, done.stdout + done.stderr
    assert all((node / name).read_text() == "precious" for name in own)
    assert b"not there" not in listed.read_bytes(), "the list was read"


def test_a_push_that_broke_off_is_made_good_by_the_next(hosts: LoopbackHosts, project: Path) -> None:
    (project / "a").write_text("first")
    (hosts.home(0) / "byzshield" / "a" / "in the way").mkdir(parents=True)
    broken = push(project, hosts)
    assert broken.returncode == 1
    assert "ps (127.0.0.1): the push failed with exit status" in broken.stderr
    assert (hosts.home(1) / "byzshield" / "a").read_text() == "first"
    (hosts.home(0) / "byzshield" / "a" / "in the way").rmdir()
    (hosts.home(0) / "byzshield" / "a").rmdir()
    assert push(project, hosts).returncode == 0
    assert (hosts.home(0) / "byzshield" / "a").read_text() == "first"
    (project / "a").unlink()
    assert push(project, hosts).returncode == 0
    assert not (hosts.home(0) / "byzshield" / "a").exists()


def test_another_folder_and_a_users_own_names_for_hosts(hosts: LoopbackHosts, project: Path) -> None:
    hosts.hosts_file.write_text("node-a  server # rack 1\r\n\n# node-b is away\nnode-c.lab\n")
    with hosts.ssh_config.open("a") as file:
        for name, server in zip(("node-a", "node-c.lab"), hosts.servers, strict=True):
            file.write(
                f"Host {name}\n  HostName {server.address}\n  Port {hosts.port}\n  IdentityFile {hosts.identity}\n"
                f"  UserKnownHostsFile {hosts.known_hosts}\n"
            )
    done = push(project, hosts, "--directory", "work/it's here")
    assert done.returncode == 0, done.stdout + done.stderr
    assert {line.split(":")[0] for line in done.stdout.splitlines()} == {"server", "worker1"}
    assert (hosts.home(1) / "work" / "it's here" / "requirements-remote.txt").exists()


def test_a_dead_host_and_one_with_a_wrong_key_are_named(hosts: LoopbackHosts, project: Path) -> None:
    wrong = hosts.servers[0].public_host_key
    hosts.known_hosts.write_text(f"[127.0.0.2]:{hosts.port} {wrong}\n" + hosts.servers[0].known_hosts_line())
    with hosts.hosts_file.open("a") as file:
        file.write("127.0.0.3\n")
    done = push(project, hosts)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "push_code: worker1 (127.0.0.2): the push failed: ssh could not log in, or lost the connection",
        "push_code: worker2 (127.0.0.3): the push failed: ssh could not log in, or lost the connection",
        "push_code: 2 of 3 hosts failed; mend what their lines above say, then run this again",
    ]
    assert "worker1: Host key verification failed." in done.stdout
    assert "worker2: ssh: connect to host 127.0.0.3" in done.stdout
    assert (hosts.home(0) / "byzshield" / "requirements-remote.txt").exists()
    assert not (hosts.home(1) / "byzshield").exists()


def test_one_hosts_nonsense_or_silence_fails_that_host_alone_and_steers_no_terminal(hosts: LoopbackHosts, project: Path) -> None:
    shout = r"printf '\033]52;c;eA==\007\rps: all is well\342\200\256\n\302\2332J\n'"
    hosts.servers[1].replace_programs(bash=f"{shout}; exec sleep 60")
    done = push(project, hosts, "--deadline", "15")
    assert done.returncode == 1
    assert [line for line in done.stdout.splitlines() if line.startswith("worker1")] == [
        "worker1: ?]52;c;eA==??ps: all is well?",
        "worker1: ?2J",
    ]
    assert done.stderr.startswith(
        "push_code: worker1 (127.0.0.2): the push failed: the host took longer than --deadline (15 s)\n"
    )
    assert (hosts.home(0) / "byzshield" / "requirements-remote.txt").exists()


def test_the_users_configuration_cannot_make_unknown_hosts_welcome(hosts: LoopbackHosts, project: Path) -> None:
    hosts.know(0)
    hosts.ssh_config.write_text(hosts.ssh_config.read_text() + "  StrictHostKeyChecking accept-new\n  BatchMode no\n")
    done = push(project, hosts)
    assert "worker1 (127.0.0.2): the push failed: ssh could not log in" in done.stderr
    assert hosts.known_hosts.read_text() == hosts.servers[0].known_hosts_line()


def test_a_users_startup_file_does_no_harm(hosts: LoopbackHosts, project: Path) -> None:
    (hosts.home(0) / ".bashrc").write_text('case "$PS1" in x) ;; esac\nfalse\n')
    done = push(project, hosts)
    assert (done.returncode, done.stderr) == (0, "")
    assert "unbound variable" not in done.stdout


def test_at_most_64_hosts_are_worked_on_at_once(hosts: LoopbackHosts, project: Path) -> None:
    names = [f"silent{number}" for number in range(70)]
    hosts.hosts_file.write_text("\n".join(names))
    open_now: set[socket.socket] = set()
    most = 0
    with socket.create_server(("127.0.0.1", 0), backlog=80) as listener:
        port = listener.getsockname()[1]
        hosts.ssh_config.write_text(f"Host *\n  HostName 127.0.0.1\n  Port {port}\n")
        pusher = ThreadPoolExecutor(1).submit(push, project, hosts)
        listener.settimeout(2.0)
        while not pusher.done():
            # Let in whoever comes; when nobody has come for two seconds, send all away.
            try:
                open_now.add(listener.accept()[0])
                most = max(most, len(open_now))
            except TimeoutError:
                for connection in open_now:
                    connection.close()
                open_now.clear()
    done = pusher.result()
    assert most == 64
    assert done.returncode == 1
    assert [line.split()[1] for line in done.stderr.splitlines()[:-1]] == ["ps", *(f"worker{number}" for number in range(1, 70))]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "names no host"),
        ("10.0.0.1 slots=4\n", "line 1: it must be ADDRESS or ADDRESS ALIAS, got '10.0.0.1 slots=4'"),
        ("10.0.0.1\n-oProxyCommand=x\n", "line 2: it must be ADDRESS or ADDRESS ALIAS"),
        ("10.0.0.1 ps extra\n", "line 1: it must be ADDRESS or ADDRESS ALIAS"),
        ("10.0.0.1 ps\n10.0.0.1 worker1\n", "line 2: 10.0.0.1 or worker1 is there twice"),
    ],
)
def test_a_hosts_file_that_cannot_be_right_is_refused(hosts: LoopbackHosts, project: Path, text: str, message: str) -> None:
    hosts.hosts_file.write_text(text)
    done = push(project, hosts)
    assert done.returncode == 2
    assert message in done.stderr
