"""A real Slurm cluster of two nodes on this machine: munged, slurmctld and two slurmd, each node in namespaces of its own."""

import os
import secrets
import subprocess
from pathlib import Path
from typing import Any

from polling import wait_for

TOOLS = ("munged", "slurmctld", "slurmd", "sbatch", "ip", "unshare")
ADDRESSES = {"node1": "192.0.2.1", "node2": "192.0.2.2"}  # TEST-NET-1; it exists between the two namespaces only
CONFIGURATION = """\
ClusterName=test
SlurmctldHost=node1({server})
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
SlurmctldPort=16817
SlurmdPort=16818
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
TmpFS={folder}/tmp-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SlurmdParameters=config_overrides
GresTypes=gpu
SchedulerParameters=batch_sched_delay=0,sched_interval=1
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SlurmctldParameters=preempt_send_user_signal
ReturnToService=2
KillWait=10
{nodes}
PartitionName=main Nodes=ALL Default=YES PriorityTier=1 GraceTime=30
PartitionName=urgent Nodes=ALL PriorityTier=2
"""
ASKING = 0.2  # seconds between two questions to Slurm, each of which is a process


def pmix_library() -> bool:
    """Whether the file is there that Debian's mpi_pmix.so opens."""
    return any(Path("/usr/lib").glob("*/pmix2/lib/libpmix.so"))


class SlurmCluster:
    """The daemons; all that they write is in `folder`, whose path must be short enough for Unix sockets."""

    def __init__(self, folder: Path, *, cpus: int = 8, memory_mib: int = 8000) -> None:
        self.folder = folder
        self.environment = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf")}
        self._children: list[subprocess.Popen[bytes]] = []
        self._namespaces: dict[str, int] = {}
        self._running = False
        for name in ADDRESSES:
            (folder / f"tmp-{name}").mkdir()  # both nodes' PMIx servers would meet in /tmp
        nodes = "\n".join(
            f"NodeName={name} NodeAddr={address} CPUs={cpus} RealMemory={memory_mib} Gres=gpu:2"
            for name, address in ADDRESSES.items()
        )
        text = CONFIGURATION.format(server=ADDRESSES["node1"], folder=folder, nodes=nodes)
        (folder / "slurm.conf").write_text(text)
        # GPUs that can be counted and asked for, and nothing else.
        (folder / "gres.conf").write_text(f"Name=gpu File={folder}/gpu[0-1]\n")
        for number in (0, 1):
            (folder / f"gpu{number}").touch()

    def start(self) -> None:
        """Starts the nodes, the network between them and the daemons, and waits until both nodes are idle."""
        for name in ADDRESSES:
            holder = self._spawn(name, ["unshare", "--net", "--uts", "sh", "-c", f"hostname {name} && exec sleep infinity"])
            self._namespaces[name] = holder.pid
        for name, pid in self._namespaces.items():
            # Once it sleeps, it has entered its namespaces and has its name.
            wait_for(lambda pid=pid: _command(Path(f"/proc/{pid}")).startswith("sleep"), f"{name}'s namespaces", seconds=10)
        first, second = self._namespaces.values()
        self._call(["ip", "link", "add", "eth0", "netns", str(first), "type", "veth", "peer", "eth0", "netns", str(second)])
        for name, address in ADDRESSES.items():
            self.on(name, ["ip", "address", "add", f"{address}/24", "dev", "eth0"])
            for device in ("lo", "eth0"):
                self.on(name, ["ip", "link", "set", device, "up"])
        key = self.folder / "munge.key"
        key.write_bytes(secrets.token_bytes(128))
        key.chmod(0o400)
        paths = {"socket": "munge.socket", "pid-file": "munged.pid", "log-file": "munged.log", "seed-file": "munge.seed"}
        flags = [f"--{flag}={self.folder / path}" for flag, path in paths.items()]
        # --force: the folder is under /tmp, which everybody may write to.
        self._spawn("munged", ["munged", "--foreground", "--force", f"--key-file={key}", *flags])
        wait_for((self.folder / "munge.socket").exists, "munged's socket", seconds=10)
        self._spawn("slurmctld", [*self._enter("node1"), "slurmctld", "-D", "-i"])
        for name in ADDRESSES:
            self._spawn(f"slurmd-{name}", [*self._enter(name), "slurmd", "-D"])
        wait_for(self.is_idle, "two idle nodes", seconds=30, every=ASKING)
        self._running = True

    def stop(self) -> None:
        """Ends what was started, last first; slurmd's steps go with a canceled job."""
        try:
            if self._running:
                self.cancel_all()
        finally:
            self._end_children()

    def is_idle(self) -> bool:
        """Whether both nodes are up and have no job."""
        return set(self.call(["sinfo", "-h", "-p", "main", "-o", "%T %D"]).splitlines()) == {"idle 2"}

    def cancel_all(self) -> None:
        """Ends all jobs, and waits until they have left the nodes."""
        self.call(["scancel", "--user", "root"])
        wait_for(lambda: not self.call(["squeue", "-h"]).strip(), "an empty queue", seconds=30, every=ASKING)

    def _end_children(self) -> None:
        for child in reversed(self._children):
            child.terminate()
        for child in reversed(self._children):
            try:
                child.wait(timeout=15)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()

    def on(self, node: str, words: list[str], *, check: bool = True, **options: Any) -> str:
        """Runs a command on a node and returns what it prints."""
        return self._call([*self._enter(node), *words], check=check, **options)

    def call(self, words: list[str], **options: Any) -> str:
        """Runs one of Slurm's commands, as a user of the first node would."""
        return self.on("node1", words, **options)

    def job(self, number: str) -> dict[str, str]:
        """What `scontrol show job` says."""
        words = self.call(["scontrol", "--oneliner", "show", "job", number]).split()
        return dict(word.split("=", 1) for word in words if "=" in word)

    def processes(self, node: str) -> dict[int, str]:
        """The node's processes: id and command line."""
        namespace = _namespace(Path(f"/proc/{self._namespaces[node]}"))
        found = [process for process in Path("/proc").glob("[0-9]*") if _namespace(process) == namespace]
        return {int(process.name): _command(process) for process in found}

    def log(self) -> str:
        """The daemons' own words, for a test that fails."""
        return "\n".join(f"--- {path.name}\n{path.read_text()[-3000:]}" for path in sorted(self.folder.glob("*.out")))

    def _enter(self, node: str) -> list[str]:
        return ["nsenter", "--target", str(self._namespaces[node]), "--net", "--uts"]

    def _call(self, words: list[str], *, check: bool = True, **options: Any) -> str:
        options = {"env": self.environment, **options}
        done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False, **options)
        assert not check or done.returncode == 0, f"{words}: {done.stderr}"
        return done.stdout

    def _spawn(self, name: str, words: list[str]) -> subprocess.Popen[bytes]:
        with (self.folder / f"{name}.out").open("wb") as output:
            child = subprocess.Popen(words, stdout=output, stderr=output, stdin=subprocess.DEVNULL, env=self.environment)
        self._children.append(child)
        return child


def _command(process: Path) -> str:
    try:
        return (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:  # it has ended
        return ""


def _namespace(process: Path) -> str:
    try:
        return os.readlink(process / "ns" / "uts")
    except OSError:
        return ""
