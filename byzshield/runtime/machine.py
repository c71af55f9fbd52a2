"""What this process runs on, as far as training depends on it."""

import os
import platform
import resource
import socket
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import torch

import byzshield
from byzshield.cores import available_cores

__all__ = ["available_memory", "machine_facts"]

MEMORY_LIMITS: Final = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
MEMORY_IN_USE: Final = ("/sys/fs/cgroup/memory.current", "/sys/fs/cgroup/memory/memory.usage_in_bytes")


def machine_facts() -> dict[str, Any]:
    """Host, versions, processor, cores, memory and limits of this process, ready for JSON."""
    return {
        "host": socket.gethostname(),
        "python": platform.python_version(),
        "byzshield": byzshield.__version__,
        "torch": torch.__version__,
        **_versions("numpy", "blosc", "mpi4py", "openmpi"),
        "processor": _processor(),
        "instruction set": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "cores": available_cores(),
        "gpus": torch.cuda.device_count(),
        "memory": available_memory(),
        "survives": os.environ.get("OMPI_MCA_mpi_ft_enable") == "1",  # noqa: SIM112 - as mpirun spells it
        "open files": resource.getrlimit(resource.RLIMIT_NOFILE)[0],
    }


def _versions(*packages: str) -> dict[str, str]:
    """Of those that are installed."""
    found = {}
    for package in packages:
        with suppress(metadata.PackageNotFoundError):
            found[package] = metadata.version(package)
    return found


def available_memory() -> int | None:
    """Bytes that processes of this host may still take, within the limit of their control group; None where nobody tells."""
    known = [_in_all(), _in_group()]
    return min((number for number in known if number is not None), default=None)


def _in_all() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, ValueError, IndexError, StopIteration):
        return None


def _in_group() -> int | None:
    for limit, in_use in zip(MEMORY_LIMITS, MEMORY_IN_USE, strict=True):
        try:
            return max(0, int(Path(limit).read_text(encoding="ascii")) - int(Path(in_use).read_text(encoding="ascii")))
        except (OSError, ValueError):  # there is no such group, or its limit is "max"
            continue
    return None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine() or os.uname().machine
