"""Has the C library keep the memory that a step frees, since the next step needs as much again."""

import ctypes
from typing import Final

__all__ = ["keep_freed_memory"]

# Of mallopt(3), with the most that glibc takes for the first.
M_MMAP_THRESHOLD: Final = (-3, 32 << 20)  # bytes from which on a block has pages of its own, which go when it is freed
M_TRIM_THRESHOLD: Final = (-1, 256 << 20)  # free bytes at the end of the heap above which they go


def keep_freed_memory() -> None:
    """Has blocks of up to 32 MiB come from pages that the process has already.

    By default glibc gives those of a megabyte back, or maps them one by one, so that each gradient and each message begins with
    page faults: a seventh of a small network's step. Where the C library is another one, nothing changes.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for option in (M_MMAP_THRESHOLD, M_TRIM_THRESHOLD):
            mallopt(*option)
