"""Hosts on loopback, each a real sshd with its own home, and a small checkout of the project from which scripts work on them."""

import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from needs import need
from ssh_server import SshServer, free_port, make_key

__all__ = [
    "PYTHON",
    "LoopbackHosts",
    "copy_scripts",
    "loopback_hosts",
    "make_project",
    "make_quick_python",
    "make_wheel",
    "run_script",
    "snapshot",
]

REPOSITORY = Path(__file__).parent.parent
PYTHON = os.path.realpath(sys.executable)  # that of the virtual environment, outside it


def make_wheel(folder: Path, name: str, version: str = "1.0") -> Path:
    """Makes a wheel of one module that holds `VERSION`."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{version}-py3-none-any.whl"
    information = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(f"{name}.py", f"VERSION = {version!r}\n")
        wheel.writestr(f"{information}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        wheel.writestr(f"{information}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{information}/RECORD", "")
    return path


def make_quick_python(folder: Path) -> str:
    """Makes a Python whose virtual environments are copied, with pip's compiled code: `ensurepip` alone takes three seconds."""
    packages = sysconfig.get_path("purelib")
    path = folder / "python"
    path.write_text(
        f"""#!/bin/sh
set -eu
[ "$*" = "-m venv .venv" ] || exec '{PYTHON}' "$@"
'{PYTHON}' -m venv --without-pip .venv
cp -a '{packages}/pip' '{packages}'/pip-*.dist-info .venv/lib/python*/site-packages/
"""
    )
    path.chmod(0o755)
    return str(path)


def copy_scripts(project: Path, *names: str) -> None:
    """Copies files and folders of scripts/ into a project."""
    for name in names:
        source, target = REPOSITORY / "scripts" / name, project / "scripts" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target)
        else:
            shutil.copy(source, target)


def make_project(folder: Path) -> Path:
    """A git checkout with this project's scripts and package, whose only requirement is a wheel in `folder/../wheels`."""
    folder.mkdir()
    for name in ("scripts", "byzshield"):
        shutil.copytree(REPOSITORY / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(REPOSITORY / ".gitignore", folder)
    (folder / "requirements-remote.txt").write_text("standin>=1\n")
    make_wheel(folder.parent / "wheels", "standin")
    git = ["git", "-C", str(folder), "-c", "user.name=test", "-c", "user.email=test@localhost"]
    subprocess.run([*git, "init", "--quiet"], check=True)
    subprocess.run([*git, "add", "--all"], check=True)
    subprocess.run([*git, "commit", "--quiet", "--message", "All"], check=True)
    return folder


def run_script(
    project: Path, script: str, *words: str, env: dict[str, str] | None = None, input: str = "", timeout: float = 60.0
) -> subprocess.CompletedProcess[str]:
    """Runs `bash scripts/SCRIPT WORDS` from another folder, as users do; `env` is added to the environment."""
    command = ["bash", str(project / "scripts" / script), *words]
    environment = {**os.environ, **(env or {})}
    return subprocess.run(
        command, env=environment, input=input, capture_output=True, text=True, timeout=timeout, cwd=project.parent
    )


def snapshot(folder: Path) -> dict[str, tuple[str, str]]:
    """Everything below a folder: kind and mode, and the content's hash or the link's target."""
    found = {}
    for path in sorted(folder.rglob("*")):
        mode = f"{path.lstat().st_mode:o}"
        if path.is_symlink():
            found[str(path.relative_to(folder))] = (mode, os.readlink(path))
        else:
            content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
            found[str(path.relative_to(folder))] = (mode, content)
    return found


class LoopbackHosts:
    """Hosts 127.0.0.1, 127.0.0.2, ... at one port: the first reaches the others from its own address, as on a real network.

    Args:
        folder: for the files of all.
        count: how many.
    """

    def __init__(self, folder: Path, count: int) -> None:
        self.folder = folder
        self.addresses = [f"127.0.0.{number + 1}" for number in range(count)]
        self.identity = make_key(folder / "laptop_key")
        public = self.identity.with_suffix(".pub").read_text()
        self.port = free_port()
        self.servers = [
            SshServer(folder / address, authorized=[public], address=address, port=self.port) for address in self.addresses
        ]
        self.known_hosts = folder / "laptop_known_hosts"
        self.hosts_file = folder / "hosts_file"
        self.hosts_file.write_text("# the server first\n" + "".join(f"{address}\n" for address in self.addresses))
        self.ssh_config = folder / "laptop's ssh config"
        self.ssh_config.write_text(
            f"Host 127.0.0.*\n  Port {self.port}\n  IdentityFile {self.identity}\n  IdentitiesOnly yes\n  IdentityAgent none\n"
            f"  UserKnownHostsFile {self.known_hosts}\n  GlobalKnownHostsFile /dev/null\n"
        )
        self.know(*range(count))

    @property
    def options(self) -> list[str]:
        """What the scripts are told about these hosts."""
        return ["--hosts", str(self.hosts_file), "--ssh-config", str(self.ssh_config)]

    def home(self, index: int) -> Path:
        """The home of the user on that host."""
        return self.servers[index].home

    def know(self, *indices: int) -> None:
        """From now on, the laptop knows the host keys of these hosts alone."""
        self.known_hosts.write_text("".join(self.servers[index].known_hosts_line() for index in indices))


@contextmanager
def loopback_hosts(folder: Path, count: int) -> Iterator[LoopbackHosts]:
    """Hosts that listen, until the end of the block."""
    need("sshd", "ssh", "ssh-keygen", "rsync", "git", "flock")
    hosts = LoopbackHosts(folder, count)
    try:
        for server in hosts.servers:
            server.wait()
        yield hosts
    finally:
        for server in hosts.servers:
            server.stop()
