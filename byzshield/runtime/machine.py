"""What this process runs on, as far as training depends on it."""

import os
import platform
import socket
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

import byzshield
from byzshield.cores import available_cores
from byzshield.limits import available_memory, raise_open_files

__all__ = ["machine_facts", "software_facts"]


def software_facts() -> dict[str, Any]:
    """Host, versions, processor and cores of this process, ready for JSON."""
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
    }


def machine_facts() -> dict[str, Any]:
    """The same, with memory and limits."""
    return {
        **software_facts(),
        "memory": available_memory(),
        "survives": os.environ.get("OMPI_MCA_mpi_ft_enable") == "1",  # noqa: SIM112 - as mpirun spells it
        "open files": raise_open_files(),
        "left by mpirun": sorted(_left_by_mpirun()),
    }


def _left_by_mpirun() -> Iterator[str]:
    """Folders of killed mpiruns and of their daemons, each of which keeps the next with the same process id from starting."""
    if os.environ.get("PRTE_MCA_pmix_tool_support") == "0":  # noqa: SIM112 - then it does not
        return
    for path in Path(tempfile.gettempdir()).glob("*/pmix.*.tool"):
        process = path.parent.suffix.removeprefix(".")
        if process.isdecimal() and not Path("/proc", process).exists():
            yield str(path.parent)


def _versions(*packages: str) -> dict[str, str]:
    """Of those that are installed."""
    found = {}
    for package in packages:
        with suppress(metadata.PackageNotFoundError):
            found[package] = metadata.version(package)
    return found


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine() or os.uname().machine
