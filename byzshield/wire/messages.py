"""What the frames say: one function to make each message, and the bounds on what each side accepts."""

import json
from collections.abc import Iterable
from typing import Any, Final

import numpy as np

from byzshield.arrays import Float32, Float64
from byzshield.errors import FrameError
from byzshield.wire.acceptance import Acceptance
from byzshield.wire.array_codec import ArrayEncoder, decode_into
from byzshield.wire.digest import DIGEST_BYTES, ChunkLayout
from byzshield.wire.frame import ALL_CHUNKS, NO_WORKER, DType, Frame, Kind

__all__ = [
    "accepted_as_welcome",
    "accepted_at_the_end",
    "accepted_by_adversary",
    "accepted_by_server",
    "accepted_by_worker",
    "accepted_on_arrival",
    "compute",
    "digests",
    "dismiss",
    "expelled",
    "fetch",
    "forged",
    "goodbye",
    "gradient_chunks",
    "hello",
    "parameters",
    "read_expelled",
    "read_goodbye",
    "read_greeting",
    "read_vector",
    "stop",
    "welcome",
]

GREETING_BYTES: Final = 1 << 16
GOODBYE_BYTES: Final = 8
WORKER_BYTES: Final = 4  # of a worker's number


def accepted_on_arrival() -> Acceptance:
    """What the server accepts before training."""
    return Acceptance({Kind.HELLO: GREETING_BYTES})


def accepted_by_server(layout: ChunkLayout, *, itemsize: int = 4) -> Acceptance:
    """What the server accepts during training, with elements of so many bytes; a greeting may come late."""
    return Acceptance(
        {
            Kind.HELLO: GREETING_BYTES,
            Kind.DIGESTS: DIGEST_BYTES * layout.num_chunks,
            Kind.GRADIENT: itemsize * min(layout.chunk_elements, layout.size),
            Kind.GOODBYE: GOODBYE_BYTES,
        }
    )


def accepted_as_welcome() -> Acceptance:
    """What a worker accepts from the server before training."""
    return Acceptance({Kind.WELCOME: GREETING_BYTES})


def accepted_by_worker(num_parameters: int, num_workers: int) -> Acceptance:
    """What a worker accepts from the server during training."""
    return Acceptance(
        {
            Kind.PARAMETERS: 4 * num_parameters,
            Kind.COMPUTE: 0,
            Kind.FETCH: 0,
            Kind.EXPELLED: WORKER_BYTES * num_workers,
            Kind.STOP: 0,
        }
    )


def accepted_at_the_end() -> Acceptance:
    """What a worker accepts from the server after its goodbye."""
    return Acceptance({Kind.DISMISS: 0})


def accepted_by_adversary(*, gradient: int, forged: int) -> Acceptance:
    """What travels on the adversary's own channel: so many values of a gradient, and so many of what the leader has forged."""
    return Acceptance({Kind.GRADIENT: 4 * gradient, Kind.PARAMETERS: 4 * forged})


def hello(worker: int, facts: dict[str, Any]) -> Frame:
    """Worker to server, once: what the worker runs, for the handshake. At most 64 KiB of JSON."""
    payload = json.dumps(facts, sort_keys=True).encode()
    return Frame(kind=Kind.HELLO, worker=worker, count=len(payload), payload=payload)


def welcome(facts: dict[str, Any]) -> Frame:
    """Server to every rank, once: what only the server works out. At most 64 KiB of JSON."""
    payload = json.dumps(facts, sort_keys=True).encode()
    return Frame(kind=Kind.WELCOME, count=len(payload), payload=payload)


def read_greeting(frame: Frame) -> dict[str, Any]:
    """Returns the facts of a HELLO or a WELCOME.

    Raises:
        FrameError: not a JSON object.
    """
    try:
        facts = json.loads(bytes(frame.payload))
    except (ValueError, RecursionError) as error:
        raise FrameError("the greeting is not JSON") from error
    if frame.compressed or not isinstance(facts, dict):
        raise FrameError("the greeting is not a JSON object")
    return facts


def parameters(step: int, vector: Float32, encoder: ArrayEncoder) -> Frame:
    """Server to every rank: the parameters of `step`, float32 [p], and whether "auto" compresses in it (`chunk` is 0 or 1)."""
    return _array(Kind.PARAMETERS, vector, encoder, step=step, chunk=int(encoder.compresses))


def digests(worker: int, step: int, file: int, joined: bytes) -> Frame:
    """Worker to server: its vote on one file, the digests of all chunks of the gradient."""
    return Frame(kind=Kind.DIGESTS, worker=worker, step=step, file=file, count=len(joined), payload=joined)


def compute(worker: int, step: int, file: int) -> Frame:
    """Server to worker: compute this file after all, and vote on it."""
    return Frame(kind=Kind.COMPUTE, worker=worker, step=step, file=file)


def fetch(worker: int, step: int, file: int, chunk: int = ALL_CHUNKS) -> Frame:
    """Server to worker: send this chunk (or all chunks) of the file's gradient."""
    return Frame(kind=Kind.FETCH, worker=worker, step=step, file=file, chunk=chunk)


def gradient_chunks(
    worker: int,
    step: int,
    file: int,
    vector: Float32 | Float64,
    *,
    layout: ChunkLayout,
    encoder: ArrayEncoder,
    chunk: int = ALL_CHUNKS,
) -> list[Frame]:
    """Worker to server: the chunks of a gradient, float32 [d], or of a combination, float64 [2 d]; or the one asked for."""
    wanted = range(layout.num_chunks) if chunk == ALL_CHUNKS else [chunk]
    return [
        _array(Kind.GRADIENT, vector[layout.slice(index)], encoder, worker=worker, step=step, file=file, chunk=index)
        for index in wanted
    ]


def forged(kind: Kind, step: int, file: int, vector: Float32) -> Frame:
    """Between accomplices: a file's whole gradient (GRADIENT) or what the leader has forged for all files (PARAMETERS)."""
    return _array(kind, vector, ArrayEncoder("off"), step=step, file=file)


def expelled(workers: Iterable[int]) -> Frame:
    """Server to every rank, before the parameters of each step: the workers that compute no more, all of them each time."""
    payload = np.array(sorted(workers), dtype="<u4").tobytes()
    return Frame(kind=Kind.EXPELLED, count=len(payload), payload=payload)


def read_expelled(frame: Frame) -> frozenset[int]:
    """Returns the workers that an EXPELLED names.

    Raises:
        FrameError: not whole numbers.
    """
    if frame.compressed or len(frame.payload) % WORKER_BYTES:
        raise FrameError(f"a worker's number has {WORKER_BYTES} bytes")
    return frozenset(np.frombuffer(frame.payload, dtype="<u4").tolist())


def stop() -> Frame:
    """Server to every rank: training is over."""
    return Frame(kind=Kind.STOP)


def dismiss(*, complete: bool) -> Frame:
    """Server to every rank, last: the process may end; whether all ranks are there to end with it (`file` is 0 or 1)."""
    return Frame(kind=Kind.DISMISS, file=int(complete))


def goodbye(worker: int, peak_rss_bytes: int) -> Frame:
    """Worker to server, after STOP: its peak memory."""
    return Frame(kind=Kind.GOODBYE, worker=worker, count=GOODBYE_BYTES, payload=peak_rss_bytes.to_bytes(GOODBYE_BYTES, "little"))


def read_goodbye(frame: Frame) -> int:
    """Returns the peak memory in bytes that a GOODBYE claims.

    Raises:
        FrameError: not 8 bytes.
    """
    if frame.compressed or len(frame.payload) != GOODBYE_BYTES:
        raise FrameError(f"a goodbye has {GOODBYE_BYTES} bytes")
    return int.from_bytes(frame.payload, "little")


def read_vector(frame: Frame, out: Float32 | Float64) -> None:
    """Writes the payload of a frame into `out`, which has the expected length and type: float32, or float64, never compressed.

    Raises:
        FrameError: another dtype or length, or a damaged payload.
    """
    expected = DType.FLOAT64 if out.dtype == np.float64 else DType.FLOAT32
    if frame.dtype is not expected or frame.count != out.size:
        raise FrameError(f"expected {out.size} {expected.name.lower()} values; got {frame.count} of {frame.dtype.name.lower()}")
    if expected is DType.FLOAT32:
        decode_into(frame.payload, compressed=frame.compressed, out=out.view(np.float32))
        return
    if frame.compressed:
        raise FrameError("float64 values are never compressed")
    out[:] = np.frombuffer(frame.payload, dtype="<f8")


def _array(
    kind: Kind,
    values: Float32 | Float64,
    encoder: ArrayEncoder,
    *,
    step: int,
    worker: int = NO_WORKER,
    file: int = 0,
    chunk: int = 0,
) -> Frame:
    dtype = DType.FLOAT64 if values.dtype == np.float64 else DType.FLOAT32
    payload: bytes | memoryview
    if dtype is DType.FLOAT32:
        compressed, payload = encoder.encode(values.view(np.float32))
    else:  # the noise of its lower bits does not compress
        compressed, payload = False, np.ascontiguousarray(values, dtype="<f8").view(np.uint8).data
    return Frame(
        kind=kind,
        worker=worker,
        step=step,
        file=file,
        chunk=chunk,
        dtype=dtype,
        count=values.size,
        compressed=compressed,
        payload=payload,
    )
