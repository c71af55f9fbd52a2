"""A host that lies, stalls or talks nonsense costs this machine neither disk nor memory, and the other hosts nothing."""

import getpass
import json
import os
import re
import resource
import socket
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import paramiko
import pytest
from laptop import Laptop
from launcher import PYTHONS
from ssh_server import make_key

DRIVER = Path(__file__).parent / "lies.py"
ZERO = b"\0" * 512
MEMORY = 1 << 29  # bytes of address space that a fetch has


def entry(size: object = 5, modified: object = "1700000000.5", kind: str = "f", name: bytes = b"./first/good") -> bytes:
    """A line of the list of files."""
    return f"{kind} {size} {modified} ".encode() + name + b"\0"


def member(size: int, kind: bytes = tarfile.REGTYPE, name: str = "./first/good", link: str = "") -> bytes:
    """The header of a member of an archive."""
    made = tarfile.TarInfo(name)
    made.size, made.type, made.linkname = size, kind, link
    return made.tobuf(tarfile.GNU_FORMAT)


def sparse(size: int) -> bytes:
    """A sparse archive of that many bytes of nothing, in a few blocks."""
    made = tarfile.TarInfo("./first/good")
    body = f"1\n0\n0\n{size}\n".encode().ljust(512, b"\0")
    made.size = len(body)
    numbers = {"major": "1", "minor": "0", "name": "./first/good", "realsize": f"{size}"}
    made.pax_headers = {f"GNU.sparse.{name}": value for name, value in numbers.items()}
    return made.tobuf(tarfile.PAX_FORMAT) + body + 2 * ZERO


GOOD = member(5) + b"hello".ljust(512, b"\0") + 2 * ZERO
LONG = member(4, b"L", "././@LongLink") + b"abcd" + ZERO[4:]
BELOW = entry() + entry(name=b"./first/good/x")
MANY = b"".join(entry(name=b"./%d" % number) for number in range(100_001))
# {lie: (the list, the archive, what is said of it)}; "" if the file comes.
LIES: dict[str, tuple[bytes, bytes, str]] = {
    "none": (entry(), GOOD, ""),
    "a sparse file": (entry(), sparse(400_000_000), "it sent something that is no file"),
    "a larger file": (entry(), member(400_000_000) + b"x" * 1_000_000, "first/good has 399999995 bytes more than it listed"),
    "a file that has grown": (entry(), member(900) + b"hello".ljust(1024, b"!") + 2 * ZERO, ""),
    "a negative size": (entry(), GOOD.replace(b"00000000005\0", b"-0000000005\0"), "what it sends is no archive"),
    "a torn header": (entry(), GOOD[:300], "what it sends ends too early"),
    "a torn file": (entry(), GOOD[:514], "what it sends ends too early"),
    "a torn end": (entry(), GOOD[:1024], "what it sends ends too early"),
    "a long name": (entry(), member(300_000_000, b"L", "././@LongLink"), "it sent something that is no file"),
    "many long names": (entry(), 99 * LONG, "it sent something that is no file"),
    "a pax header": (entry(), member(300_000_000, b"x"), "it sent something that is no file"),
    "a link": (entry(), member(0, tarfile.SYMTYPE, link="/etc/passwd") + 2 * ZERO, "it sent something that is no file"),
    "a hard link": (entry(), member(0, tarfile.LNKTYPE, link="/etc/passwd") + 2 * ZERO, "it sent something that is no file"),
    "a device": (entry(), member(0, tarfile.CHRTYPE) + 2 * ZERO, "it sent something that is no file"),
    "a folder": (entry(), member(0, tarfile.DIRTYPE) + 2 * ZERO, "it sent something that is no file"),
    "another name": (entry(), GOOD.replace(b"./first/good", b"../../escape"), "it sent /../escape, which nobody asked for"),
    "a file twice": (entry(), GOOD[:1024] + GOOD, "it sent first/good, which nobody asked for"),
    "compressed": (entry(), b"\x1f\x8b\x08" + b"\0" * 2000, "what it sends is no archive"),
    "an infinite time": (entry(modified="inf"), GOOD, "first/good is refused: no file has 5 bytes and the time inf"),
    "no time": (entry(modified="nan"), GOOD, "first/good is refused: no file has 5 bytes and the time nan"),
    "a time too late": (entry(modified="1e300"), GOOD, "first/good is refused: no file has 5 bytes and the time 1e300"),
    "too much": (entry(10**17), GOOD, "it lists 100000000000 MB to fetch; of the "),
    "a listed negative size": (entry(-5), GOOD, "first/good is refused: no file has -5 bytes and the time 1700000000.5"),
    "endless digits": (entry("9" * 9999), GOOD, f"first/good is refused: no file has {'9' * 40} bytes and the time 1700000000.5"),
    "control characters": (entry(name=b"./\x1b]0;x\a"), GOOD, "?]0;x? is refused: its name has control characters"),
    "a name of C1": (entry(name="./\x9b2J".encode()), GOOD, "?2J is refused: its name has control characters"),
    "no list": (b"\0\0nonsense\0", GOOD, " is refused: it leads out of the folder"),
    "too many files": (MANY, GOOD, "it has more than 100000 files"),
    "an endless list": (b"x" * 20_000_000, GOOD, "its answer has more than 16 MiB"),
    "a folder that is a file": (BELOW, GOOD[:1024] + member(0, name="./first/good/x"), "first/good/x cannot be written: "),
}


@PYTHONS
def test_no_lie_of_a_host_costs_disk_or_memory_or_a_traceback(laptop: Laptop, tmp_path: Path) -> None:
    server = laptop.host("ps")
    (laptop.directory("ps") / "runs").mkdir(parents=True)
    server.replace_programs(find="exec cat ~/list", tar="cat >/dev/null; exec cat ~/archive")
    for lie, (listed, archive, _) in LIES.items():
        (tmp_path / "lies" / lie).mkdir(parents=True)
        (tmp_path / "lies" / lie / "list").write_bytes(listed)
        (tmp_path / "lies" / lie / "archive").write_bytes(archive)
    said = said_of(laptop, tmp_path)
    for lie, (_, _, expected) in LIES.items():
        if expected == "":
            assert said[lie] == [1, []], lie
            assert (tmp_path / "came" / lie / "first" / "good").read_bytes() == b"hello"
        else:
            assert expected in (said[lie] if isinstance(said[lie], str) else said[lie][1][0]), lie
    came = [path for path in (tmp_path / "came").rglob("*") if path.is_file()]
    whole = {"none", "a file that has grown", "a torn end", "a file twice", "a folder that is a file"}
    assert {path.parent.parent.name for path in came} == whole
    assert not any(path.is_symlink() for path in (tmp_path / "came").rglob("*"))


def test_a_host_that_sends_next_to_nothing_or_only_complains_is_given_up(laptop: Laptop, tmp_path: Path) -> None:
    server = laptop.host("ps")
    (laptop.directory("ps") / "runs").mkdir(parents=True)
    server.replace_programs(find="exec cat ~/list", tar="exec bash ~/archive")
    stories = {
        "slow": b"cat >/dev/null; while printf x; do sleep 0.1; done",
        "slow to read": b"sleep 60",
        "complaints": b"exec cat /dev/zero >&2",
    }
    for story, script in stories.items():
        (tmp_path / "lies" / story).mkdir(parents=True)
        (tmp_path / "lies" / story / "list").write_bytes(entry())
        (tmp_path / "lies" / story / "archive").write_bytes(script)
    said = said_of(laptop, tmp_path)
    assert "bytes a second, and has to send 10000; it was given up" in said["slow"]
    assert "it sends 0 bytes a second" in said["slow to read"]
    assert "???? (it did not end)" in said["complaints"]


def said_of(laptop: Laptop, folder: Path) -> dict[str, object]:
    """What the launcher says of each story in folder/lies; what comes is in folder/came."""
    server = laptop.hosts["ps"]
    words = [
        str(laptop.project / "scripts" / "ec2"),
        getpass.getuser(),
        str(laptop.key),
        str(laptop.known_hosts),
        f"{server.port}",
    ]
    words += [str(server.home), str(folder / "lies"), str(folder / "came")]
    done = subprocess.run(
        [laptop.python, str(DRIVER), *words],
        capture_output=True,
        timeout=120,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY)),
    )
    assert (done.returncode, done.stderr) == (0, b"")
    said: dict[str, object] = json.loads(done.stdout)
    return said


def test_nonsense_of_one_host_fails_that_host_alone(laptop: Laptop) -> None:
    answers = {
        "worker1": "printf x",  # no list of what was pushed
        "worker2": r"printf '\0fxyz ./a\0\0'",  # no mode
        "worker3": r"printf '\0l777 ./a\0'",  # no target
        "worker4": r"printf '\0%064d  ./a\0' 0",  # a digest of nothing
        "worker5": "exec tr '\\0' x </dev/zero",  # no end
    }
    for alias, answer in answers.items():
        laptop.host(alias).replace_programs(timeout=answer)
    laptop.host("ps")
    with garbage_in_place_of_ssh() as port:
        laptop.add_node("worker6", port)
        result = laptop.run("push")
    assert result.returncode == 1
    assert (laptop.directory("ps") / ".gitignore").exists()
    failed = {line.split(": ")[1]: line for line in result.stderr.decode().splitlines() if line.startswith("failed: ")}
    assert set(failed) == {*answers, "worker6"}
    assert all(failed[f"worker{n}"].endswith(": what it says of its files makes no sense") for n in range(1, 5))
    assert failed["worker5"].endswith("its answer has more than 16 MiB")
    assert "no ssh at 127.0.0.1" in failed["worker6"]
    assert b"Traceback" not in result.stderr


@contextmanager
def garbage_in_place_of_ssh() -> Iterator[int]:
    """A port whose owner begins as ssh does and goes on with a list of algorithms that is no text."""
    packet = b"\x14" + b"c" * 16 + (3).to_bytes(4, "big") + b"\xff\xfe\xfd" + b"\0" * 60
    padding = 8 - (len(packet) + 5) % 8 + 8
    frame = (len(packet) + padding + 1).to_bytes(4, "big") + bytes([padding]) + packet + b"\0" * padding
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            while True:
                try:
                    connection = listener.accept()[0]
                except OSError:
                    return
                with connection:
                    connection.sendall(b"SSH-2.0-\x1b]0;x\a\r\n" + frame)
                    connection.settimeout(5)
                    try:
                        while connection.recv(4096):
                            pass
                    except OSError:
                        pass

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(10)


class Mute(paramiko.ServerInterface):
    """Lets everybody in, and never says whether a command was started."""

    def get_allowed_auths(self, username: str) -> str:
        return "publickey"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        return paramiko.AUTH_SUCCESSFUL

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return paramiko.OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        threading.Event().wait(60)
        return False


IMPATIENT = """
import sys
sys.path.insert(0, sys.argv[1])
import cluster, execution, parallel, remote, waiting
remote.CONNECT_SECONDS = 4.0
access = remote.Access(sys.argv[2], sys.argv[3], sys.argv[4])
nodes = [remote.Node(alias, "127.0.0.1", int(port), "10.0.0.1") for alias, port in zip(("ps", "worker1"), sys.argv[5:])]
started = waiting.clock()
print(cluster.visit(cluster.Hosts(access, nodes), lambda connection, node: connection.output("echo here", None), 20.0))
print(waiting.clock() - started < 40.0)
outcomes = parallel.for_each(lambda item: item == "early" or __import__("time").sleep(6), ["late", "early"], 2.0)
print([(outcome.item, outcome.value, outcome.error) for outcome in outcomes])
"""


def test_a_host_that_never_answers_holds_up_nobody_else(laptop: Laptop, tmp_path: Path) -> None:
    worker = laptop.host("worker1")
    key = make_key(tmp_path / "mute")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        public = " ".join(key.with_suffix(".pub").read_text().split()[:2])
        laptop.known_hosts.write_text(laptop.known_hosts.read_text() + f"[127.0.0.1]:{port} {public}\n")

        def serve() -> None:
            transport = paramiko.Transport(listener.accept()[0])
            transport.add_server_key(paramiko.Ed25519Key(filename=str(key)))
            transport.start_server(server=Mute())

        threading.Thread(target=serve, daemon=True).start()
        words = [str(laptop.project / "scripts" / "ec2"), getpass.getuser(), str(laptop.key), str(laptop.known_hosts)]
        command = [laptop.python, "-W", "ignore", "-c", IMPATIENT, *words, f"{port}", f"{worker.port}"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    visited, soon, late = done.stdout.splitlines()
    assert soon == "True"
    assert re.search(r"'worker1', u?b?'here", visited)
    assert "ps: the connection broke" in visited
    assert "late: not done after 2 s" in late
    assert re.search(r"'early', True, None", late)


@pytest.mark.parametrize(("file", "mode"), [("id_ed25519", 0o640), ("known_hosts", 0o666)])
def test_keys_that_others_may_read_or_change_are_refused(laptop: Laptop, file: str, mode: int) -> None:
    server = laptop.host("ps")
    os.chmod(laptop.folder / file, mode)
    refused = laptop.run("run", "--", "echo here")
    assert (refused.returncode, refused.stdout) == (2, b"")
    assert f"(mode {mode:o}); `chmod ".encode() in refused.stderr
    assert "publickey" not in server.log.read_text()
