"""The pods of an MPIJob as the operator makes them, without Kubernetes: their files, names, user and commands, in namespaces."""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from cluster_lab import ISOLATED, ClusterLab

__all__ = ["Pod"]

USER = ["setpriv", "--reuid=1000", "--regid=1000", "--clear-groups", "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all"]
MOUNTS = """\
set -e
mount --make-rprivate /
mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs tmpfs /home
mkdir -p /home/byzshield/.ssh /home/etc/upper /home/etc/work /home/0 /home/1 /home/2 /home/3
cp "$SECRET"/* /home/byzshield/.ssh/
mount -t overlay overlay -o lowerdir=/etc,upperdir=/home/etc/upper,workdir=/home/etc/work /etc
mkdir -p /etc/mpi
cp "$CONFIG"/hostfile /etc/mpi/
cp "$CONFIG"/hosts /etc/hosts
echo byzshield:x:1000:1000::/home/byzshield:/bin/bash >>/etc/passwd
hostname "$POD"
# What these tests run may be in root's home, which nobody else may enter, or in /tmp, which may be a volume of the pod's own.
mount --bind "$PYTHON" /home/0
mount --bind "$PROJECT" /home/1
mount --bind "$CHECKOUT" /home/2
mount --bind "$CHECKOUT/runs" /home/3
mount -t tmpfs -o mode=755 tmpfs /root
case " $VOLUMES " in *" /tmp "*) mount -t tmpfs -o mode=1777 tmpfs /tmp ;; esac
mkdir -p "$PYTHON" "$PROJECT" "$CHECKOUT"
mount --bind /home/0 "$PYTHON"
mount --bind /home/1 "$PROJECT"
mount --bind /home/2 "$CHECKOUT"
case " $VOLUMES " in *" /byzshield/runs "*) mount --bind /home/3 "$CHECKOUT/runs" ;; esac
if [ "$READ_ONLY" = True ]; then
    for folder in "$PYTHON" "$PROJECT" "$CHECKOUT" /root /etc /home /; do mount -o remount,bind,ro "$folder"; done
fi
export HOME=/home/byzshield
unset TMPDIR  # of the tests, who are another user
exec "$@"
"""


class Pod:
    """One pod; its main process is the container's command, as user 1000, and ends with everything that it started.

    Args:
        lab: has the network.
        name: the pod's name and hostname.
        address: its address, with prefix length.
        folder: `secret` and `config` in it are what the operator mounts; the pod's output goes to `NAME.log`.
    """

    def __init__(self, lab: ClusterLab, name: str, address: str, folder: Path) -> None:
        self.name, self.log = name, folder / f"{name}.log"
        environment = {"SECRET": str(folder / "secret"), "CONFIG": str(folder / "config"), "POD": name, "PYTHON": sys.base_prefix}
        environment["PROJECT"] = str(Path(__file__).parents[1])
        self._enter = ["env", *(f"{key}={value}" for key, value in environment.items())]
        self._enter += ["ip", "netns", "exec", lab.plug_in(name.removeprefix("byzshield-"), address), *ISOLATED]
        self._enter += ["bash", "-c", MOUNTS, "pod", *USER]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, container: dict[str, Any], project: Path) -> None:
        """Starts the container's command, whose /byzshield is `project`."""
        words = [word.replace("/byzshield/", f"{project}/", 1) for word in container["command"]] + container.get("args", [])
        volumes = " ".join(mount["mountPath"] for mount in container["volumeMounts"])
        mounts = ["env", f"CHECKOUT={project}", f"VOLUMES={volumes}"]
        mounts.append(f"READ_ONLY={container['securityContext'].get('readOnlyRootFilesystem')}")
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                [*mounts, *self._enter, *words], stdout=output, stderr=output, stdin=subprocess.DEVNULL
            )

    @property
    def main(self) -> int:
        """The main process."""
        assert self._process is not None
        return int(Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text())

    def commands(self) -> list[str]:
        """The command lines of the processes in the pod."""
        ours = os.readlink(f"/proc/{self.main}/ns/pid")
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):  # it has ended
                if os.readlink(process / "ns" / "pid") == ours:
                    found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        return found

    def wait(self, *, seconds: float) -> int:
        """Waits until the main process has ended."""
        assert self._process is not None
        return self._process.wait(seconds)

    def kill(self) -> None:
        """Ends the pod: with its main process, the kernel ends all others. (--kill-child is lost when the user changes.)"""
        if self._process is not None and self._process.poll() is None:
            with contextlib.suppress(ValueError):  # it has not begun
                os.kill(self.main, signal.SIGKILL)
            self._process.kill()
            self._process.wait(10)
