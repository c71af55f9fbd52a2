"""Who is believed, who is let in, and how commands end: the launcher against real sshds."""

import getpass
import os
import signal
import subprocess
from pathlib import Path

from laptop import Laptop, connections, end
from launcher import PYTHONS
from polling import wait_for
from ssh_server import make_key


def is_running(pid_file: Path) -> bool:
    try:
        os.kill(int(pid_file.read_text()), 0)
    except ProcessLookupError:
        return False
    return True


@PYTHONS
def test_a_command_runs_on_every_host_and_nothing_else_reaches_the_terminal(laptop: Laptop) -> None:
    laptop.host("ps")
    laptop.host("worker1")
    result = laptop.run("run", "--", "echo out; echo err >&2")
    assert result.returncode == 0
    assert sorted(result.stdout.splitlines()) == [b"ps: out", b"worker1: out"]
    assert sorted(result.stderr.splitlines()) == [b"ps: err", b"worker1: err"]


@PYTHONS
def test_several_words_reach_the_command_as_they_are(laptop: Laptop) -> None:
    laptop.host("ps")
    result = laptop.run("run", "--", "printf", "%s|", "a b", "$HOME", "it's", "--", "größe")
    assert result.stdout == "ps: a b|$HOME|it's|--|größe|\n".encode()


def test_hosts_are_chosen_by_name(laptop: Laptop) -> None:
    for alias in ("ps", "worker1", "worker2"):
        laptop.host(alias)
    assert laptop.run("run", "--on", "workers", "--", "echo x").stdout.count(b"worker") == 2
    assert laptop.run("run", "--on", "ps,worker2", "--", "echo x").stdout.count(b"worker2: x") == 1
    refused = laptop.run("run", "--on", "worker7", "--", "echo x")
    assert refused.returncode == 2
    assert b"no running host is called worker7; there are ps, worker1, worker2" in refused.stderr


@PYTHONS
def test_an_unknown_host_is_refused_before_anything_is_sent(laptop: Laptop) -> None:
    server = laptop.host("ps", known=False)
    laptop.host("worker1")
    result = laptop.run("run", "--", "echo here")
    assert result.returncode == 1
    assert result.stdout == b"worker1: here\n"
    assert result.stderr.startswith(b"failed: ps: no key of 127.0.0.1 port ")
    assert result.stderr.count(b"\n") == 1
    assert "Accepted publickey" not in server.log.read_text()
    assert "publickey" not in server.log.read_text()


def test_a_changed_host_key_is_refused_before_anything_is_sent(laptop: Laptop, tmp_path: Path) -> None:
    server = laptop.host("ps", known=False)
    other = make_key(tmp_path / "other")
    laptop.known_hosts.write_text(
        server.known_hosts_line().replace(server.public_host_key, " ".join(other.with_suffix(".pub").read_text().split()[:2]))
    )
    result = laptop.run("run", "--", "echo here")
    assert (result.returncode, result.stdout) == (1, b"")
    assert b"does not have the key that" in result.stderr
    assert result.stderr.count(b"\n") == 1
    assert "publickey" not in server.log.read_text()


def test_a_host_that_does_not_know_the_key_says_so(laptop: Laptop) -> None:
    server = laptop.host("ps")
    server.authorized_keys.write_text("")
    result = laptop.run("run", "--", "echo here")
    assert result.returncode == 1
    assert b"failed: ps: 127.0.0.1 does not let " in result.stderr


def test_keys_of_the_agent_and_the_home_folder_are_not_offered(laptop: Laptop, tmp_path: Path) -> None:
    server = laptop.host("ps")
    home_key = make_key(tmp_path / "id_ed25519")
    server.authorized_keys.write_text(home_key.with_suffix(".pub").read_text())
    (tmp_path / ".ssh").mkdir()
    home_key.rename(tmp_path / ".ssh" / "id_ed25519")
    command = ["env", f"HOME={tmp_path}", *laptop.command("run", "--", "echo here")]
    result = subprocess.run(command, capture_output=True, timeout=60)
    assert result.returncode == 1
    assert b"does not let" in result.stderr


def test_a_dead_host_is_named_while_the_others_go_on(laptop: Laptop) -> None:
    laptop.host("ps")
    laptop.add_node("worker1")
    laptop.host("worker2")
    result = laptop.run("run", "--", "echo here")
    assert result.returncode == 1
    assert sorted(result.stdout.splitlines()) == [b"ps: here", b"worker2: here"]
    assert [line.split(b": ")[1] for line in result.stderr.splitlines() if line.startswith(b"failed")] == [b"worker1"]


def test_the_exit_status_of_each_host_is_told(laptop: Laptop) -> None:
    laptop.host("ps")
    laptop.host("worker1")
    result = laptop.run("run", "--", "[[ $PWD != */worker1/* ]] || exit 7")
    assert result.returncode == 1
    assert result.stderr == b"failed: worker1: exit status 7\n"


def test_a_command_that_outlives_its_deadline_is_ended_on_the_host(laptop: Laptop) -> None:
    server = laptop.host("ps")
    laptop.settings["deadlines"]["command"] = 1
    result = laptop.run("run", "--", "echo $$ >pid; echo begun; sleep 300; echo not reached")
    assert result.returncode == 1
    assert result.stdout == b"ps: begun\n"
    assert b"failed: ps: the command did not end within 1 s" in result.stderr
    wait_for(lambda: not is_running(server.home / "pid"), "the command ends")


@PYTHONS
def test_ctrl_c_ends_the_command_on_the_host(laptop: Laptop) -> None:
    server = laptop.host("ps")
    with laptop.start("run", "--", "echo $$ >pid; echo begun; sleep 300 & wait") as process:
        wait_for(lambda: laptop.stdout == b"ps: begun\n", "the command begins")
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
    assert b"Traceback" not in laptop.stderr
    wait_for(lambda: not is_running(server.home / "pid"), "the command ends")


def test_a_killed_launcher_leaves_no_command_behind(laptop: Laptop) -> None:
    server = laptop.host("ps")
    with laptop.start("run", "--", "echo $$ >pid; echo begun; sleep 300 & wait") as process:
        wait_for(lambda: laptop.stdout == b"ps: begun\n", "the command begins")
        process.kill()
    wait_for(lambda: not is_running(server.home / "pid"), "the command ends")


def test_what_a_command_leaves_in_the_background_does_not_hold_it_up(laptop: Laptop) -> None:
    server = laptop.host("ps")
    result = laptop.run("run", "--", "setsid sleep 300 & echo $! >pid; echo done")
    os.kill(int((server.home / "pid").read_text()), signal.SIGKILL)
    assert (result.returncode, result.stdout) == (0, b"ps: done\n")


@PYTHONS
def test_output_is_shown_by_the_line_and_steers_no_terminal(laptop: Laptop) -> None:
    laptop.host("ps")
    laptop.host("worker1")
    # Half a line each at a time from both hosts; the clipboard, a line that would cover the host's name, the cursor, C1 and bidi
    # characters, the title; bytes that are no text; an end without an end of line.
    hostile = r"\033]52;c;eA==\007 a\rps: b\033[2A \302\2332J \342\200\256x\r\n"
    halves = r"for i in 1 2 3; do printf 'half '; sleep 0.1; printf 'line\n'; done"
    result = laptop.run("run", "--", rf"{halves}; printf '{hostile}\377\tgr\303\266\303\237e'; printf '\033]0;x\007' >&2")
    lines = result.stdout.split(b"\n")
    assert result.returncode == 0
    for alias in (b"ps", b"worker1"):
        mine = [line for line in lines if line.startswith(alias)]
        shown = [b": ?]52;c;eA==? a?ps: b?[2A ?2J ?x", b": \xef\xbf\xbd\t" + "größe".encode()]
        assert mine == 3 * [alias + b": half line"] + [alias + line for line in shown]
    assert len(lines) == 11
    assert sorted(result.stderr.splitlines()) == [b"ps: ?]0;x?", b"worker1: ?]0;x?"]


def test_much_output_arrives_whole(laptop: Laptop) -> None:
    laptop.host("ps")
    result = laptop.run("run", "--", "seq 1 300000")
    assert result.stdout.replace(b"ps: ", b"") == b"".join(b"%d\n" % number for number in range(1, 300001))


# The launcher's own limits are a minute and more.
HANGING_HOST = """
import sys
sys.path.insert(0, sys.argv[1])
import cluster, execution, remote
execution.SILENCE_SECONDS, remote.HEARTBEAT_SECONDS = 1.5, 0.2
access = remote.Access(sys.argv[2], sys.argv[3], sys.argv[4])
with access.connect(remote.Node("ps", "127.0.0.1", int(sys.argv[5]), "10.0.0.1")) as connection:
    try:
        cluster.follow(connection, "echo begun; sleep 3; echo alive; sleep 300", None)
    except execution.ConnectionLost as error:
        print(error)
"""


def test_a_quiet_command_is_awaited_and_a_hanging_host_is_given_up(laptop: Laptop) -> None:
    server = laptop.host("ps")
    words = [
        str(laptop.project / "scripts" / "ec2"),
        getpass.getuser(),
        str(laptop.key),
        str(laptop.known_hosts),
        str(server.port),
    ]
    with subprocess.Popen([laptop.python, "-c", HANGING_HOST, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == b"ps: begun\n"
        assert process.stdout.readline() == b"ps: alive\n"
        stopped = connections(server)
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        assert process.stdout.readline() == b"ps: no answer for 2 s\n"
        assert process.wait(20) == 0
        assert process.stderr.read() == b""
    end(stopped)


@PYTHONS
def test_a_locale_without_letters_does_no_harm(laptop: Laptop) -> None:
    laptop.host("ps")
    command = ["env", "LC_ALL=C", *laptop.command("run", "--", "echo größe; echo größe >&2")]
    result = subprocess.run(command, capture_output=True, timeout=60)
    assert (result.returncode, result.stdout, result.stderr) == (0, "ps: größe\n".encode(), "ps: größe\n".encode())
