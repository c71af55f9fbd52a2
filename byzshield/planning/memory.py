"""What the processes of a run hold in a step: one computation for a plan, and for what is checked before a run begins.

All numbers are bytes on top of an interpreter that has imported torch and has loaded the data and one copy of the model; those of
code and buffers are as measured on x86_64 (docs/performance.md).
"""

from typing import Final

__all__ = ["ON_REQUEST", "adversary_bytes", "server_bytes", "worker_bytes"]

MIB: Final = 1 << 20
FLOAT32: Final = 4
# Compiled kernels and LLVM, which loads them; the libraries behind a first gradient; an evaluation; messages on their way in.
SERVER_CODE: Final = 170 * MIB
WORKER_CODE: Final = 40 * MIB
# Vectors at the server: the aggregate beside what a rule or an optimizer works with, or the message while it is compressed.
SERVER_VECTORS: Final = 3
# Vectors at a worker: the parameters of the model if it is not loaded yet, those that came, and their message.
WORKER_VECTORS: Final = 3
ON_REQUEST: Final = 3  # gradients that a rank has copied into messages which the server has asked for and not taken yet


def server_bytes(
    *,
    num_files: int,
    size: int,
    row_bytes: int | None = None,
    new_rows: int = 0,
    momenta: bool = False,
    state_vectors: int = 0,
    activation_bytes: int = 0,
) -> int:
    """What the server takes in a step if nobody fails.

    Args:
        num_files: f, rows of the matrix of winners.
        size: d, float32 values of a gradient.
        row_bytes: of the matrix; those of a gradient by default.
        new_rows: rows that pre-aggregators make beside those of the matrix.
        momenta: whether it holds those of all shards.
        state_vectors: vectors of parameters that the optimizer holds.
        activation_bytes: what lies between the layers for one file, where the server computes some itself.
    """
    gradient = FLOAT32 * size
    rows = num_files * (gradient if row_bytes is None else row_bytes)
    beside = (num_files if momenta else 0) + new_rows + state_vectors + SERVER_VECTORS
    return rows + beside * gradient + activation_bytes + SERVER_CODE


def worker_bytes(
    *, num_files: int, size: int, payloads: int = ON_REQUEST, payload_bytes: int | None = None, activation_bytes: int = 0
) -> int:
    """What a rank takes in a step if nobody fails, all its workers together.

    Args:
        num_files: that it computes; it keeps the gradient of each to the end of the step.
        size: d.
        payloads: that may wait for the server at once.
        payload_bytes: of each; those of a gradient by default.
        activation_bytes: what lies between the layers for one file.
    """
    gradient = FLOAT32 * size
    waiting = payloads * (gradient if payload_bytes is None else payload_bytes)
    return (num_files + WORKER_VECTORS) * gradient + waiting + activation_bytes + WORKER_CODE


def adversary_bytes(*, num_files: int, size: int) -> int:
    """What the leader of accomplices who know all files takes on top: a gradient of each."""
    return num_files * FLOAT32 * size
