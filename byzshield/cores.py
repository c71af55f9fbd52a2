"""How many cores this process may use."""

import os

__all__ = ["available_cores"]


def available_cores() -> int:
    """The cores that this process may run on, at least 1; fewer than the machine has under taskset, Slurm or mpirun's binding."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
