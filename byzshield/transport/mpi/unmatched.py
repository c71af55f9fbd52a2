"""What Open MPI keeps of each rank that nothing has matched: messages of collective operations, which no receive can reach."""

import ctypes
from collections.abc import Sequence
from typing import Final

from mpi4py import MPI

from byzshield.transport.mpi.job import loaded_library

__all__ = ["Unmatched"]

VARIABLE: Final = b"pml_ob1_unexpected_msgq_length"
SIZE: Final = 2  # MPI_T_PVAR_CLASS_SIZE


class Unmatched:
    """Counts them by the performance variables of MPI's tool interface.

    Args:
        comms: communicators over all ranks of the job, which live as long as this object.
    """

    def __init__(self, comms: Sequence[MPI.Comm]) -> None:
        self._size = MPI.COMM_WORLD.Get_size()
        self._comms = comms
        library = loaded_library("libmpi.so", "MPI_T_pvar_read")
        self._session = ctypes.c_void_p()
        self._handles: list[ctypes.c_void_p] = []
        index, provided, count = ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
        if library is None:
            return
        self._read = library.MPI_T_pvar_read
        library.MPI_T_init_thread(MPI.THREAD_SINGLE, ctypes.byref(provided))
        if library.MPI_T_pvar_get_index(VARIABLE, SIZE, ctypes.byref(index)) != MPI.SUCCESS:
            return  # another way of matching than Open MPI's own, ob1: what it keeps is not known
        library.MPI_T_pvar_session_create(ctypes.byref(self._session))
        for comm in comms:
            handle, address = ctypes.c_void_p(), ctypes.c_void_p(MPI._addressof(comm))
            made = library.MPI_T_pvar_handle_alloc(self._session, index, address, ctypes.byref(handle), ctypes.byref(count))
            if made == MPI.SUCCESS and count.value == self._size:
                self._handles.append(handle)

    def counts(self) -> list[int]:
        """Returns for each rank how many messages of it wait in all communicators together; zeros where MPI does not tell."""
        total, counts = [0] * self._size, (ctypes.c_uint * self._size)()
        for handle in self._handles:
            if self._read(self._session, handle, counts) == MPI.SUCCESS:
                total = [sum(pair) for pair in zip(total, counts, strict=True)]
        return total
