"""A real sshd of the test's own: own port, host key, authorized keys and account settings; ended by its pid."""

import os
import re
import signal
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path

from needs import find_tool, need
from polling import wait_for

__all__ = ["SshServer", "free_port", "make_key"]


def make_key(path: Path) -> Path:
    """Makes an ed25519 key pair at `path` and `path`.pub, and returns `path`."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", path.name, "-f", str(path)], check=True)
    return path


def free_port(address: str = "127.0.0.1") -> int:
    """A TCP port that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind((address, 0))
        port: int = probe.getsockname()[1]
        return port


class SshServer:
    """sshd in the foreground as a child process.

    Args:
        folder: for its files; made if missing. `folder/home` is the home of whoever logs in (as the user who runs the test).
        authorized: public keys (lines) that may log in.
        address: where it listens.
        port: where it listens; None takes a free one.
        enter: words that start a command inside the server's namespaces, for example ["nsenter", ...].
        host_key: an existing private host key; None makes one.
        home_inside: where `folder/home` is mounted in the namespaces that `enter` enters, where /dev/shm is its own, too.
    """

    def __init__(
        self,
        folder: Path,
        *,
        authorized: Sequence[str] = (),
        address: str = "127.0.0.1",
        port: int | None = None,
        enter: Sequence[str] = (),
        host_key: Path | None = None,
        home_inside: Path | None = None,
    ) -> None:
        need("sshd", "ssh-keygen")
        self.folder, self.address, self.port = folder, address, port or free_port(address)
        self.home = folder / "home"
        (self.home / ".ssh").mkdir(parents=True, exist_ok=True)
        os.chmod(self.home, 0o755)
        os.chmod(self.home / ".ssh", 0o700)
        self.authorized_keys = self.home / ".ssh" / "authorized_keys"
        self.authorized_keys.write_text("".join(line.rstrip() + "\n" for line in authorized))
        os.chmod(self.authorized_keys, 0o600)
        self.host_key = host_key or make_key(folder / "host_key")
        self.log = folder / "sshd.log"
        home, authorized_keys, tmp = self.home, self.authorized_keys, "/tmp"
        if home_inside is not None:
            home, authorized_keys, tmp = home_inside, home_inside / ".ssh" / "authorized_keys", "/dev/shm"
        # Tests run in folders that others may write to, which StrictModes would refuse; $HOME is the server's own.
        (folder / "sshd_config").write_text(
            f"ListenAddress {address}\nPort {self.port}\nHostKey {self.host_key}\nPidFile none\nUsePAM no\nStrictModes no\n"
            f"AuthorizedKeysFile {authorized_keys}\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n"
            f"PermitRootLogin prohibit-password\nSubsystem sftp /usr/lib/openssh/sftp-server\nSetEnv HOME={home} TMPDIR={tmp}\n"
            f'ForceCommand cd {home} && if [ -n "$SSH_ORIGINAL_COMMAND" ]; then exec bash -c "$SSH_ORIGINAL_COMMAND"; '
            f"else exec bash -l; fi\n"
        )
        self.prepare()
        with open(self.log, "ab") as log:
            command = [*enter, str(find_tool("sshd")), "-D", "-e", "-f", str(folder / "sshd_config")]
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    @staticmethod
    def prepare() -> None:
        """Makes what sshd needs of the system."""
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)

    def replace_programs(self, **scripts: str) -> None:
        """Has commands run these shell scripts instead of the programs of these names, as a hostile host would."""
        folder = self.home / "bin"
        folder.mkdir()
        for name, script in scripts.items():
            (folder / name).write_text(f"#!/bin/sh\n{script}\n")
            (folder / name).chmod(0o755)
        config = self.folder / "sshd_config"
        config.write_text(config.read_text().replace("SetEnv ", f"SetEnv PATH={folder}:{os.environ['PATH']} "))
        status = Path(f"/proc/{self.process.pid}/status")
        # It listens first, and a SIGHUP before it has a handler would end it.
        wait_for(lambda: int(re.findall(r"^SigCgt:\s*(\w+)$", status.read_text(), re.MULTILINE)[0], 16) & 1, "sshd's handler")
        os.kill(self.process.pid, signal.SIGHUP)
        wait_for(lambda: self.log.read_text().count("Server listening") == 2, "sshd listens again")

    @property
    def public_host_key(self) -> str:
        """Type and key, as in known_hosts behind the host's name."""
        return " ".join(self.host_key.with_suffix(".pub").read_text().split()[:2])

    def known_hosts_line(self, name: str | None = None) -> str:
        """A line for known_hosts; the name defaults to [address]:port."""
        return f"{name or f'[{self.address}]:{self.port}'} {self.public_host_key}\n"

    def wait(self, seconds: float = 15.0) -> "SshServer":
        """Returns when it listens.

        Raises:
            AssertionError: it does not in time, or has ended.
        """

        def listens() -> bool:
            assert self.process.poll() is None, self.log.read_text()
            return "Server listening" in self.log.read_text()

        wait_for(listens, f"sshd listens; see {self.log}", seconds)
        return self

    def stop(self) -> None:
        """Ends it; sessions that it serves end with it."""
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(10)
