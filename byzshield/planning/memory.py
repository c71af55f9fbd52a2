"""What the processes of a run hold in a step: one computation for a plan, and for what is checked before a run begins.

All numbers are bytes on top of an interpreter that has imported torch and has loaded the data and one copy of the model; those of
code and buffers are as measured on x86_64 (docs/performance.md).
"""

from typing import Final

__all__ = ["adversary_bytes", "most_held", "server_bytes", "worker_bytes"]

MIB: Final = 1 << 20
FLOAT32: Final = 4
# Compiled kernels and LLVM, which loads them; the libraries behind a first gradient; an evaluation; messages on their way in.
SERVER_CODE: Final = 170 * MIB
WORKER_CODE: Final = 40 * MIB
KERNELS: Final = SERVER_CODE - WORKER_CODE  # where an adversary calls them, too
# Vectors at the server: the aggregate beside what a rule or an optimizer works with, or the message while it is compressed.
SERVER_VECTORS: Final = 3
# Vectors of an adversary that tries out the server's rule: where it starts and in which direction (float64), what it tries, and
# what becomes of that.
TRIAL_VECTORS: Final = 6
# Vectors at a worker: the parameters of the model if it is not loaded yet, those that came, and their message.
WORKER_VECTORS: Final = 3
# What a rank may have copied into messages that the server has not taken yet, before it copies or computes more: enough that it
# computes while the last one is on its way, and that small ones need not wait for a server that is busy.
AHEAD: Final = 2  # gradients
SMALL: Final = 16 * MIB


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
    *, num_files: int, size: int, payloads: int | None = None, payload_bytes: int | None = None, activation_bytes: int = 0
) -> int:
    """What a rank takes in a step if nobody fails, all its workers together.

    Args:
        num_files: that it computes; it keeps the gradient of each to the end of the step.
        size: d.
        payloads: that it sends at most; by default one for each file.
        payload_bytes: of each; those of a gradient by default.
        activation_bytes: what lies between the layers for one file.
    """
    gradient = FLOAT32 * size
    payload = gradient if payload_bytes is None else payload_bytes
    waiting = min((num_files if payloads is None else payloads) * payload, most_held(payload) + payload)
    return (num_files + WORKER_VECTORS) * gradient + waiting + activation_bytes + WORKER_CODE


def most_held(payload_bytes: int) -> int:
    """Bytes of messages that a rank may hold for the server before it makes another payload of so many bytes."""
    return max(AHEAD * payload_bytes, SMALL)


def adversary_bytes(*, num_files: int, size: int, tried_rows: int | None = None, compiled: bool = False) -> int:
    """What the leader of accomplices who know all files takes on top: a gradient of each.

    Args:
        num_files: f.
        size: d.
        tried_rows: where it tries out the server's rule, the rows that this takes beside: the true ones of corrupted files, and
            those that pre-aggregators make; None if it tries none.
        compiled: whether it calls compiled kernels.
    """
    gradient = FLOAT32 * size
    tried = 0 if tried_rows is None else tried_rows + TRIAL_VECTORS
    return (num_files + tried) * gradient + (KERNELS if compiled else 0)
