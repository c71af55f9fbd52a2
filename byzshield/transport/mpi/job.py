"""The MPI job as a whole: who is in it, and what its runtime can be asked for."""

import ctypes
import os
from typing import Final

from mpi4py import MPI

__all__ = ["has_ended", "kill", "loaded_library", "local_rank", "outlives_its_ranks", "world_rank", "world_size"]

NAMESPACE_BYTES: Final = 256  # of pmix_proc_t
INFO_BYTES: Final = 1 << 12  # more than a pmix_info_t has
PMIX_BOOL: Final = 1
LOCAL_RANK: Final = ("OMPI_COMM_WORLD_LOCAL_RANK", "SLURM_LOCALID", "MPI_LOCALRANKID")  # of mpirun, srun, and MPICH's


class _Process(ctypes.Structure):
    """pmix_proc_t."""

    _fields_ = (("namespace", ctypes.c_char * NAMESPACE_BYTES), ("rank", ctypes.c_uint32))


def world_rank() -> int:
    """This process's rank in MPI_COMM_WORLD."""
    return MPI.COMM_WORLD.Get_rank()


def has_ended() -> bool:
    """Whether this process has left MPI, to which there is no way back."""
    return MPI.Is_finalized()


def world_size() -> int:
    """Processes in MPI_COMM_WORLD."""
    return MPI.COMM_WORLD.Get_size()


def local_rank() -> int:
    """Which of the job's processes on this host this is, from 0, as its launcher says; 0 if it says nothing."""
    said = (os.environ.get(name, "") for name in LOCAL_RANK)
    return next((int(digits) for digits in said if digits.isdecimal()), 0)


def outlives_its_ranks() -> bool:
    """Whether the job goes on when a rank dies: it was started by `mpirun --with-ft ulfm`."""
    return os.environ.get("OMPI_MCA_mpi_ft_enable", "0") not in ("0", "false")  # noqa: SIM112 - Open MPI spells it so


def kill(ranks: list[int]) -> None:
    """Asks the runtime to kill processes of this job, stopped ones too; it may not be able to, and says nothing then.

    Under ULFM only: without it, Open MPI ends the whole job with the first rank whose connection closes.
    """
    namespace = os.environ.get("PMIX_NAMESPACE", "").encode()
    library = loaded_library("libpmix.so", "PMIx_Job_control")
    if not ranks or not outlives_its_ranks() or library is None or not 0 < len(namespace) < NAMESPACE_BYTES:
        return
    processes = (_Process * len(ranks))(*[_Process(namespace, rank) for rank in ranks])
    info, yes = ctypes.create_string_buffer(INFO_BYTES), ctypes.c_bool(True)
    library.PMIx_Info_load(info, b"pmix.jctrl.kill", ctypes.byref(yes), ctypes.c_uint16(PMIX_BOOL))
    results, num_results = ctypes.c_void_p(), ctypes.c_size_t()
    library.PMIx_Job_control(
        processes, ctypes.c_size_t(len(ranks)), info, ctypes.c_size_t(1), ctypes.byref(results), ctypes.byref(num_results)
    )


def loaded_library(name: str, symbol: str) -> ctypes.CDLL | None:
    """The library with this word in its name that MPI has loaded into this process, if it has the symbol."""
    with open("/proc/self/maps") as maps:
        paths = {line.split()[-1] for line in maps if name in line}
    libraries = (ctypes.CDLL(path) for path in sorted(paths))
    return next((library for library in libraries if hasattr(library, symbol)), None)
