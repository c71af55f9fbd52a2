"""setup_nodes.sh against real sshds: code, environment, lists of hosts, keys."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from loopback_hosts import LoopbackHosts, loopback_hosts, make_project, make_quick_python, make_wheel, run_script, snapshot


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[LoopbackHosts]:
    with loopback_hosts(tmp_path, 3) as started:
        yield started


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return make_project(tmp_path / "checkout")


@pytest.fixture
def light_project(project: Path) -> Path:
    """What a node installs is nothing: to make a virtual environment takes seconds, and most tests are not about that."""
    install = 'cd "${0%/*}/.."\nmkdir -p .cluster/locked\necho none==1 | tee .cluster/locked/lock >.cluster/requirements.lock\n'
    (project / "scripts" / "install_node.sh").write_text(install)
    return project


def set_up(project: Path, hosts: LoopbackHosts, *words: str) -> subprocess.CompletedProcess[str]:
    python = make_quick_python(project.parent)
    fixed = ["--port", str(hosts.port), "--wheels", str(project.parent / "wheels"), "--python", python]
    return run_script(project, "setup_nodes.sh", *hosts.options, *fixed, *words, timeout=150)


def ssh_from_the_server(hosts: LoopbackHosts, to: str, *words: str) -> subprocess.CompletedProcess[str]:
    config = str(hosts.home(0) / "byzshield" / ".cluster" / "ssh_config")
    return subprocess.run(["ssh", "-F", config, *words, to, "pwd"], capture_output=True, text=True, stdin=subprocess.DEVNULL)


def test_a_cluster_is_set_up_and_a_second_time_changes_nothing(hosts: LoopbackHosts, project: Path) -> None:
    done = set_up(project, hosts)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == "", "nothing that a reader would have to explain away"
    assert "worker2: This node is ready" in done.stdout
    assert "The cluster is ready: 3 hosts, and ps (127.0.0.1) is the server's." in done.stdout
    for index in range(3):
        node = hosts.home(index) / "byzshield"
        assert subprocess.run([node / ".venv/bin/python", "-c", "import standin, byzshield"], cwd=hosts.folder).returncode == 0
        cluster = node / ".cluster"
        assert (cluster / "hosts").read_text() == "127.0.0.1\tps\n127.0.0.2\tworker1\n127.0.0.3\tworker2\n"
        assert (cluster / "hosts_alias").read_text() == "ps\nworker1\nworker2\n"
        assert (cluster / "hosts_address").read_text() == "127.0.0.1\n127.0.0.2\n127.0.0.3\n"
        known = (cluster / "known_hosts").read_text().splitlines()
        assert known == [
            f"[{alias}]:{hosts.port},[{server.address}]:{hosts.port} {server.public_host_key}"
            for alias, server in zip(("ps", "worker1", "worker2"), hosts.servers, strict=True)
        ]
        assert f"{cluster.stat().st_mode & 0o777:o}" == "700"
        assert (cluster / "id_ed25519").exists() == (index == 0), "the private key lies on the server's host alone"
    before = [snapshot(hosts.home(index)) for index in range(3)]
    again = set_up(project, hosts)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "ps: 0 of" in again.stdout
    assert [snapshot(hosts.home(index)) for index in range(3)] == before


def test_a_host_that_comes_later_gets_the_versions_of_the_first_from_its_packages(hosts: LoopbackHosts, project: Path) -> None:
    ours = hosts.hosts_file.with_name("two hosts")
    lock = ours.with_name("two hosts.lock")
    ours.write_text("127.0.0.1\n")
    assert f"The versions of all hosts are now in {lock}" in set_up(project, hosts, "--hosts", str(ours)).stdout
    assert "standin==1.0 --hash=" in lock.read_text()
    make_wheel(project.parent / "wheels", "standin", "2.0")
    ours.write_text("127.0.0.1\n127.0.0.2\n")
    done = set_up(project, hosts, "--hosts", str(ours))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "worker1: Installing what .cluster/requirements.lock lists" in done.stdout
    assert "ps: Installing" not in done.stdout
    for index in range(2):
        cluster = hosts.home(index) / "byzshield" / ".cluster"
        assert (cluster / "requirements.lock").read_text() == lock.read_text()
        assert sorted(path.name for path in (cluster / "locked").iterdir()) == ["lock", "standin-1.0-py3-none-any.whl"]
        assert (cluster / "wheels").exists() == (index == 0), "only the first host is sent what the laptop has"
    lock.unlink()
    assert set_up(project, hosts, "--hosts", str(ours)).returncode == 0
    assert "standin==2.0 --hash=" in (hosts.home(1) / "byzshield" / ".cluster" / "requirements.lock").read_text()


def test_a_lock_that_the_user_gives_is_that_of_all_hosts(hosts: LoopbackHosts, project: Path) -> None:
    given = project.parent / "given.lock"
    given.write_text(f"standin==1.0 --hash=sha256:{'0' * 64}\n")
    refused = set_up(project, hosts, "--lock", str(given))
    assert refused.returncode == 1
    assert "DO NOT MATCH THE HASHES" in refused.stdout
    assert "setup_nodes: 1 of 3 hosts failed" in refused.stderr
    assert not (hosts.home(1) / "byzshield" / ".venv").exists(), "the first host comes first"
    assert hosts.hosts_file.with_name("hosts_file.lock").read_text() == given.read_text()
    missing = set_up(project, hosts, "--lock", "nowhere.lock")
    assert missing.returncode == 2
    assert "there is no file" in missing.stderr


def test_the_cluster_key_opens_the_workers_for_commands_from_the_server_alone(hosts: LoopbackHosts, light_project: Path) -> None:
    assert set_up(light_project, hosts).returncode == 0
    for to in ("127.0.0.2", "worker1"):
        done = ssh_from_the_server(hosts, to)
        assert (done.returncode, done.stdout) == (0, f"{hosts.home(1)}\n"), done.stderr
    elsewhere = ssh_from_the_server(hosts, "127.0.0.2", "-b", "127.0.0.9")
    assert elsewhere.returncode == 255
    assert "Permission denied" in elsewhere.stderr
    terminal = ssh_from_the_server(hosts, "127.0.0.2", "-tt")
    assert "PTY allocation request failed" in terminal.stderr
    forwarding = ssh_from_the_server(hosts, "127.0.0.2", "-o", "ExitOnForwardFailure=yes", "-R", "0:127.0.0.1:1")
    assert forwarding.returncode == 255, "no forwarding"


def test_a_host_with_another_key_is_refused_and_the_others_are_set_up(hosts: LoopbackHosts, light_project: Path) -> None:
    wrong, right = hosts.servers[1].public_host_key, hosts.servers[2].public_host_key
    hosts.known_hosts.write_text(hosts.known_hosts.read_text().replace(wrong, right))
    done = set_up(light_project, hosts)
    assert done.returncode == 1
    assert "worker1: Host key verification failed." in done.stdout
    assert "setup_nodes: worker1 (127.0.0.2): the setup failed: ssh could not log in" in done.stderr
    assert "setup_nodes: 1 of 3 hosts failed" in done.stderr
    assert not (hosts.home(1) / "byzshield" / "scripts").exists()
    assert ssh_from_the_server(hosts, "127.0.0.3").returncode == 0


def test_an_unknown_host_key_is_named_before_anything_is_sent(hosts: LoopbackHosts, light_project: Path) -> None:
    hosts.know(0, 2)
    done = set_up(light_project, hosts)
    assert done.returncode == 1
    assert "this machine does not know the host key of worker1 (127.0.0.2);" in done.stderr
    assert not any((hosts.home(index) / "byzshield" / "scripts").exists() for index in range(3))


def test_a_revoked_host_key_counts_as_unknown_and_a_hashed_name_as_known(hosts: LoopbackHosts, project: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", str(hosts.known_hosts)], check=True, capture_output=True)
    assert "127.0.0.1" not in hosts.known_hosts.read_text()
    with hosts.known_hosts.open("a") as file:
        file.write(f"@revoked {hosts.servers[2].known_hosts_line()}")
    done = set_up(project, hosts)
    assert "does not know the host key of worker2 (127.0.0.3);" in done.stderr


def test_a_dead_host_is_named_and_the_others_go_on(hosts: LoopbackHosts, light_project: Path) -> None:
    hosts.servers[2].stop()
    done = set_up(light_project, hosts)
    assert done.returncode == 1
    assert "worker2: ssh: connect to host 127.0.0.3" in done.stdout
    assert "worker2 (127.0.0.3): the setup failed: ssh could not log in" in done.stderr
    assert ssh_from_the_server(hosts, "worker1").returncode == 0


def test_a_worker_that_the_server_cannot_reach_is_named(hosts: LoopbackHosts, light_project: Path) -> None:
    hosts.hosts_file.write_text("127.0.0.3\n127.0.0.2\n")  # 127.0.0.3 connects from 127.0.0.1
    done = set_up(light_project, hosts)
    assert done.returncode == 1
    assert "worker1 (127.0.0.2): ps cannot log in there: " in done.stderr
    assert "Permission denied" in done.stderr


def test_a_worker_that_refuses_the_packages_is_named_and_its_words_cannot_steer_the_terminal(
    hosts: LoopbackHosts, light_project: Path
) -> None:
    said = "printf 'no\\e]52;c;AAAA\\a room\\n' >&2; exit 1"
    (hosts.home(1) / ".bashrc").write_text(f"[[ $BASH_EXECUTION_STRING != *locked.new* ]] || {{ {said}; }}\n")
    done = set_up(light_project, hosts)
    assert done.returncode == 1
    assert "worker1 (127.0.0.2): ps cannot send the packages there: no]52;c;AAAA room\n" in done.stderr
    assert "1 of 3 hosts failed" in done.stderr
    assert (hosts.home(2) / "byzshield" / ".cluster" / "locked" / "lock").exists()


def test_an_installation_that_fails_names_the_host(hosts: LoopbackHosts, project: Path) -> None:
    done = set_up(project, hosts, "--requirements", "nowhere.txt")
    assert done.returncode == 1
    assert "ps: install_node: " in done.stdout
    assert "has no file nowhere.txt" in done.stdout
    assert "setup_nodes: ps (127.0.0.1): the setup failed with exit status 2" in done.stderr
    assert "setup_nodes: 1 of 3 hosts failed" in done.stderr
