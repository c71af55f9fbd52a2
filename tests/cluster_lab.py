"""Hosts on one machine: each has its own network, hostname, processes, shared memory, sshd, host key and home.

Every host is a set of Linux namespaces behind a virtual switch, as is the "laptop", in which the test runs its commands. Nothing
of the machine's own network is touched. Needs root, iproute2, openssh-server and util-linux.
"""

import os
import shutil
import subprocess
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

from needs import need, need_root
from ssh_server import SshServer

__all__ = ["ISOLATED", "ClusterLab", "LabHost", "ip", "require_lab"]

# Words that run a command with its own mounts, hostname, processes and shared memory; all of them end with it.
ISOLATED = ["unshare", "--mount", "--uts", "--pid", "--ipc", "--fork", "--kill-child", "--mount-proc"]


def require_lab() -> None:
    """Skips the test where no lab can be built."""
    need_root()
    need("ip", "sshd", "rsync", "unshare", "curl")


def ip(*words: str, netns: str | None = None) -> None:
    """Runs `ip`, in a network namespace if one is named."""
    subprocess.run(["ip", *(["-n", netns] if netns else []), *words], check=True)


class LabHost:
    """One host: a network namespace with one interface, and, inside further namespaces, a running sshd.

    Args:
        lab: where it stands.
        number: tells its names and folder from the others'.
        address: its IPv4 address, with the prefix length of its network.
        authorized: public keys that may log in.
        host_key: its private host key; None makes one.
    """

    def __init__(self, lab: "ClusterLab", number: int, address: str, authorized: Sequence[str], host_key: Path | None) -> None:
        self.address, self.hostname, self.folder = address.split("/")[0], f"host{number}", lab.folder / f"host{number}"
        self.netns = lab.plug_in(f"{number}", address)
        for name in ("etc", "etc-work"):
            (self.folder / name).mkdir(parents=True)
        # The same path is a different folder on every host: its home, its shared memory, and what it changes in /etc.
        layers = f"lowerdir=/etc,upperdir={self.folder}/etc,workdir={self.folder}/etc-work"
        mounts = f"mount --make-rprivate / && mount -t tmpfs tmpfs /dev/shm && mount --bind {self.folder}/home {lab.home}"
        mounts += f" && mount -t overlay -o {layers} overlay /etc && touch /etc/fstab"
        inside = f'{mounts} && hostname {self.hostname} && exec "$@"'
        enter = ["ip", "netns", "exec", self.netns, *ISOLATED, "bash", "-c", inside, "host"]
        self.sshd = SshServer(
            self.folder,
            authorized=authorized,
            address=self.address,
            port=22,
            enter=enter,
            host_key=host_key,
            home_inside=lab.home,
        )
        self.home = self.folder / "home"

    def die(self) -> None:
        """Ends every process of the host at once, as a power failure does."""
        self.sshd.process.kill()
        self.sshd.process.wait(10)


class ClusterLab:
    """A switch, a laptop and hosts; a context manager that leaves nothing behind.

    Args:
        folder: for everything that the hosts and the laptop write.
        laptop: the laptop's address, with the prefix length of the network that it shares with the hosts.
    """

    def __init__(self, folder: Path, *, laptop: str) -> None:
        self.folder, self.hosts = folder, dict[str, LabHost]()
        self.home = folder / "home"  # every host's home is mounted here
        self.home.mkdir(parents=True)
        self._tag = f"bz{uuid.uuid4().hex[:6]}"
        self._namespaces: list[str] = []
        self._made = 0
        self.switch = self._namespace("switch")
        ip("link", "add", "switch", "type", "bridge", netns=self.switch)
        ip("link", "set", "switch", "up", netns=self.switch)
        self.laptop = self.plug_in("laptop", laptop)

    def __enter__(self) -> "ClusterLab":
        return self

    def __exit__(self, *_: object) -> None:
        for host in self.hosts.values():
            if host.sshd.process.poll() is None:
                host.die()
        for name in self._namespaces:
            ip("netns", "del", name)

    def add_host(self, address: str, *, authorized: Sequence[str] = (), host_key: Path | None = None) -> LabHost:
        """Starts a host at `address` (with prefix length), and returns when its sshd listens."""
        self._made += 1
        host = LabHost(self, self._made, address, authorized, host_key)
        self.hosts[host.address] = host
        host.sshd.wait()
        return host

    def plug_in(self, name: str, address: str) -> str:
        """Makes a network namespace with an interface eth0 that is plugged into the switch; returns its name."""
        netns = self._namespace(name)
        # A host that comes again has the hardware address that its neighbors remember.
        hardware = "02:00:" + ":".join(f"{int(byte):02x}" for byte in address.split("/")[0].split("."))
        pair = f"eth0 netns {netns} address {hardware} type veth peer name to-{name} netns {self.switch}"
        ip("link", "add", *pair.split())
        ip("link", "set", f"to-{name}", "master", "switch", "up", netns=self.switch)
        ip("addr", "add", address, "dev", "eth0", netns=netns)
        ip("link", "set", "eth0", "up", netns=netns)
        return netns

    def on_laptop(self, *words: str) -> list[str]:
        """The words that run a command in the laptop's network."""
        return ["ip", "netns", "exec", self.laptop, *words]

    def run(
        self, *words: str, env: Mapping[str, str] | None = None, timeout: float = 120.0, cwd: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Runs a command in the laptop's network, with nothing on its standard input."""
        return subprocess.run(
            self.on_laptop(*words),
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            cwd=cwd,
        )

    def remove(self, host: LabHost) -> None:
        """Takes a host away with all that was on it."""
        host.die()
        del self.hosts[host.address]
        self._namespaces.remove(host.netns)
        ip("netns", "del", host.netns)
        shutil.rmtree(host.folder)

    def _namespace(self, name: str) -> str:
        netns = f"{self._tag}-{name}"
        ip("netns", "add", netns)
        self._namespaces.append(netns)
        ip("link", "set", "lo", "up", netns=netns)
        return netns
