"""What this process may still take of its host: memory and open files."""

import resource
from contextlib import suppress
from pathlib import Path
from typing import Final

from byzshield.errors import RequestError

__all__ = ["FILES_A_RANK", "GIB", "available_memory", "lacking_open_files", "raise_open_files", "require_open_files"]

GIB: Final = 1 << 30
# Of control groups, version 2 and 1: the limit, what is in use, and the part of it that is files which can be dropped.
CONTROL_GROUPS: Final = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current", "/sys/fs/cgroup/memory.stat", "inactive_file"),
    (
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
        "/sys/fs/cgroup/memory/memory.usage_in_bytes",
        "/sys/fs/cgroup/memory/memory.stat",
        "total_inactive_file",
    ),
)
FILES_A_RANK: Final = 8  # descriptors that the server needs for each rank over TCP, with room to spare


def available_memory() -> int | None:
    """Bytes that processes of this host may still take, within the limit of their control group; None where nobody tells."""
    known = [_in_all(), *(_in_group(*files) for files in CONTROL_GROUPS)]
    return min((number for number in known if number is not None), default=None)


def raise_open_files() -> int:
    """Raises the limit of open files as far as this process may; returns it, -1 for none."""
    limit, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit != most:
        with suppress(ValueError, OSError):  # some kernels allow less than they say
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return -1 if limit == resource.RLIM_INFINITY else limit


def require_open_files(num_ranks: int) -> None:
    """Raises the limit of open files, and refuses a job of which the server would run out of them.

    Raises:
        RequestError: the limit cannot be raised so far.
    """
    if lacking := lacking_open_files(num_ranks):
        raise RequestError(lacking)


def lacking_open_files(num_ranks: int) -> str:
    """Raises the limit of open files as far as needed; what to change if a job's server would run out of them, or nothing."""
    needed, limit = FILES_A_RANK * num_ranks, raise_open_files()
    if not 0 <= limit < needed:
        return ""
    return (
        f"the server needs about {needed} open files for {num_ranks} ranks, and may have {limit}: raise the limit "
        f"(ulimit -Hn {needed}, or LimitNOFILE or nofile of the service that starts it), or take fewer ranks"
    )


def _in_all() -> int | None:
    return _entry("/proc/meminfo", "MemAvailable:", unit=1024)


def _in_group(limit: str, in_use: str, stat: str, droppable: str) -> int | None:
    try:
        left = int(Path(limit).read_text(encoding="ascii")) - int(Path(in_use).read_text(encoding="ascii"))
    except (OSError, ValueError):  # there is no such group, or its limit is "max"
        return None
    return max(0, left + (_entry(stat, droppable) or 0))


def _entry(path: str, name: str, unit: int = 1) -> int | None:
    """The number behind `name` in a file of lines."""
    try:
        lines = [line.split() for line in Path(path).read_text(encoding="ascii").splitlines()]
        return next(int(words[1]) * unit for words in lines if words[:1] == [name])
    except (OSError, ValueError, IndexError, StopIteration):
        return None
