"""A laptop with a project and the launcher in it, whose cluster's hosts are real sshds on loopback."""

import contextlib
import getpass
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from launcher import LAUNCHER
from ssh_server import SshServer, free_port, make_key

__all__ = ["Laptop", "connections", "end", "is_idle"]

DRIVER = Path(__file__).parent / "scripts" / "ec2" / "ssh" / "launcher_with_hosts.py"


def connections(server: SshServer) -> list[int]:
    """The processes that serve connections; not the sshd that listens."""
    listener = server.process.pid
    return [int(pid) for pid in Path(f"/proc/{listener}/task/{listener}/children").read_text().split()]


def end(pids: list[int]) -> None:
    """Kills processes, those at least that are still there."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def is_idle(folder: Path) -> bool:
    """Whether no process of this machine works in the folder."""
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if Path(os.readlink(process / "cwd")).is_relative_to(folder):
                return False
    return True


class Laptop:
    """`project` is a git repository with a copy of the launcher; hosts are added by `host`."""

    def __init__(self, folder: Path, python: str) -> None:
        self.folder, self.python = folder, python
        self.project = folder / "project"
        shutil.copytree(LAUNCHER, self.project / "scripts" / "ec2", ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
        self.write(".gitignore", "*.pyc\n__pycache__/\n/runs/\n/.venv/\nignored.txt\n")
        self.git("init", "--quiet")
        self.key = make_key(folder / "id_ed25519")
        self.known_hosts = folder / "known_hosts"
        self.known_hosts.write_text("")
        self.environment = {**os.environ, "BYZSHIELD_HOME": str(folder / "secrets")}
        self.state = folder / "secrets" / "clusters" / "cluster"  # after cluster.json
        self.state.mkdir(parents=True)  # it was launched
        self.settings: dict[str, Any] = {"region": "us-east-1", "workers": {"count": 1}, "deadlines": {}, "node": {}}
        self.nodes: list[list[Any]] = []
        self.hosts: dict[str, SshServer] = {}

    def write(self, name: str, content: str | bytes = "", mode: int = 0o644) -> Path:
        """Writes a file of the project."""
        path = self.project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        path.chmod(mode)
        return path

    def git(self, *words: str) -> None:
        subprocess.run(["git", *words], cwd=self.project, check=True)

    def host(self, alias: str, *, known: bool = True) -> SshServer:
        """Starts a host of that name and adds it to the cluster."""
        server = SshServer(self.folder / alias, authorized=[self.key.with_suffix(".pub").read_text()]).wait()
        if known:
            self.known_hosts.write_text(self.known_hosts.read_text() + server.known_hosts_line())
        self.add_node(alias, server.port)
        self.hosts[alias] = server
        return server

    def add_node(self, alias: str, port: int | None = None) -> None:
        """Adds a host to the cluster at which, without a port, nobody answers."""
        self.nodes.append([alias, "127.0.0.1", port or free_port(), f"10.0.0.{len(self.nodes) + 1}"])

    def directory(self, alias: str) -> Path:
        """The project's folder on that host."""
        return self.hosts[alias].home / self.settings["node"].get("directory", "byzshield")

    def command(self, command: str, *words: str) -> list[str]:
        (self.folder / "cluster.json").write_text(json.dumps(self.settings))
        cluster = {
            "launcher": str(self.project / "scripts" / "ec2"),
            "user": getpass.getuser(),
            "key": str(self.key),
            "known_hosts": str(self.known_hosts),
            "nodes": self.nodes,
        }
        (self.folder / "hosts.json").write_text(json.dumps(cluster))
        words = (command, "--config", str(self.folder / "cluster.json"), *words)
        return [self.python, str(DRIVER), str(self.folder / "hosts.json"), *words]

    def run(self, command: str, *words: str, timeout: float = 60.0) -> subprocess.CompletedProcess[bytes]:
        """Runs a command of the launcher to its end."""
        line = self.command(command, *words)
        return subprocess.run(line, capture_output=True, timeout=timeout, cwd=self.project, env=self.environment)

    @contextlib.contextmanager
    def start(self, command: str, *words: str) -> Iterator[subprocess.Popen[bytes]]:
        """A command of the launcher while it runs, with its output in files `stdout` and `stderr` of the folder."""
        with open(self.folder / "stdout", "wb") as stdout, open(self.folder / "stderr", "wb") as stderr:
            line = self.command(command, *words)
            process = subprocess.Popen(line, stdout=stdout, stderr=stderr, cwd=self.project, env=self.environment)
            try:
                yield process
            finally:
                if process.poll() is None:
                    os.kill(process.pid, signal.SIGKILL)
                process.wait(10)

    @property
    def stdout(self) -> bytes:
        """What the command of `start` has printed so far."""
        return (self.folder / "stdout").read_bytes()

    @property
    def stderr(self) -> bytes:
        return (self.folder / "stderr").read_bytes()

    def stop(self) -> None:
        """Ends the hosts."""
        for server in self.hosts.values():
            server.stop()
