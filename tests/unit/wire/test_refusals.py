"""Every check of hostile bytes, each with the one thing that it refuses: a row fails when its check is taken out."""

import struct
from collections.abc import Callable

import blosc
import numpy as np
import pytest

from byzshield.errors import FrameError
from byzshield.wire import HEADER_BYTES, Acceptance, ArrayEncoder, ChunkLayout, DType, Frame, Kind, Packet, decode_into, messages

LAYOUT = ChunkLayout(1000, 1000)
VECTOR = np.repeat(np.arange(100, dtype=np.float32), 10)
ACCEPTS = messages.accepted_by_server(LAYOUT)
(RAW,) = messages.gradient_chunks(3, 1, 2, VECTOR, layout=LAYOUT, encoder=ArrayEncoder("off"))
(COMPRESSED,) = messages.gradient_chunks(3, 1, 2, VECTOR, layout=LAYOUT, encoder=ArrayEncoder("on"))
LENGTH = len(COMPRESSED.payload)

# The fields of a header: offset and format.
MAGIC, VERSION, KIND, FLAGS, DTYPE = (0, "4s"), (4, "B"), (5, "B"), (6, "B"), (7, "B")
COUNT, RAW_LENGTH, PAYLOAD_LENGTH = (28, "<Q"), (36, "<Q"), (44, "<Q")


def changed(frame: Frame, *fields: tuple[tuple[int, str], object]) -> bytes:
    """The bytes of a frame with other values in some fields of its header."""
    data = bytearray(frame.encoded)
    for (offset, form), value in fields:
        struct.pack_into(form, data, offset, value)
    return bytes(data)


def packet(data: bytes | None, tag: int = Kind.GRADIENT, num_bytes: int = 0) -> Packet:
    return Packet(source=1, tag=tag, data=data, num_bytes=num_bytes)


@pytest.mark.parametrize("frame", [RAW, COMPRESSED], ids=["raw", "compressed"])
def test_the_frames_that_the_rows_damage_are_accepted_as_they_are(frame: Frame) -> None:
    opened = ACCEPTS.open(packet(frame.encoded))
    out = np.empty(1000, dtype=np.float32)
    messages.read_vector(opened, out)
    assert out.tobytes() == VECTOR.tobytes()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(RAW.encoded[: HEADER_BYTES - 1], "has at least", id="shorter than a header"),
        pytest.param(changed(RAW, (MAGIC, b"BZSX")), "not a frame of this protocol", id="magic"),
        pytest.param(changed(RAW, (VERSION, 1)), "not a frame of this protocol", id="version"),
        pytest.param(changed(RAW, (KIND, Kind.STOP)), "not accepted", id="kind that is not accepted"),
        pytest.param(changed(RAW, (KIND, 200)), "not accepted", id="kind that does not exist"),
        pytest.param(changed(RAW, (FLAGS, 2)), "unknown flags", id="flags"),
        pytest.param(changed(RAW, (DTYPE, 9)), "unknown dtype", id="dtype"),
        pytest.param(changed(RAW, (PAYLOAD_LENGTH, 3999)), "announces 3999 payload bytes", id="payload length too short"),
        pytest.param(RAW.encoded + b"\0", "announces 4000 payload bytes; got 4001", id="bytes behind the payload"),
        pytest.param(RAW.encoded[:-1], "announces 4000 payload bytes; got 3999", id="cut off"),
        pytest.param(changed(RAW, (RAW_LENGTH, 4004), (COUNT, 1001)), "over the bound", id="raw length over its bound"),
        pytest.param(changed(RAW, (RAW_LENGTH, 2**63)), "over the bound", id="raw length of exabytes"),
        pytest.param(changed(RAW, (COUNT, 999)), "999 elements do not make", id="count"),
        pytest.param(changed(RAW, (DTYPE, DType.UINT8)), "do not make", id="count in bytes of another dtype"),
        pytest.param(changed(RAW, (RAW_LENGTH, 3996), (COUNT, 999)), "does not fit", id="raw payload longer than it says"),
        pytest.param(changed(RAW, (FLAGS, 1)), "does not fit", id="compressed payload that saves nothing"),
        pytest.param(changed(COMPRESSED, (FLAGS, 0)), "does not fit", id="raw payload shorter than it says"),
    ],
)
def test_a_header_that_lies_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(FrameError, match=message):
        ACCEPTS.open(packet(data))


def test_a_message_that_the_transport_refused_is_refused() -> None:
    with pytest.raises(FrameError, match="a message of 99 bytes with tag 5 is over its bound"):
        ACCEPTS.open(packet(None, num_bytes=99))


def test_a_frame_under_the_tag_of_another_kind_is_refused() -> None:
    with pytest.raises(FrameError, match="a GRADIENT came under tag 3"):
        ACCEPTS.open(packet(RAW.encoded, tag=Kind.DIGESTS))


def test_the_transport_is_told_bounds_that_admit_the_longest_message_and_no_longer_one() -> None:
    assert Acceptance({Kind.STOP: 0, Kind.GRADIENT: 4000}).message_bytes == {Kind.STOP: 68, Kind.GRADIENT: 4068}
    assert len(RAW.encoded) == ACCEPTS.message_bytes[Kind.GRADIENT]
    assert Kind.PARAMETERS not in ACCEPTS.message_bytes


# The fields of a blosc header.
FORMAT, CODEC, BLOSC_FLAGS, TYPESIZE = (0, "B"), (1, "B"), (2, "B"), (3, "B")
NBYTES, BLOCKSIZE, CBYTES, FIRST_START = (4, "<I"), (8, "<I"), (12, "<I"), (16, "<I")


def blosc_buffer(*fields: tuple[tuple[int, str], object]) -> bytes:
    data = bytearray(COMPRESSED.payload)
    for (offset, form), value in fields:
        struct.pack_into(form, data, offset, value)
    return bytes(data)


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        pytest.param(bytes(COMPRESSED.payload[:15]), "at least 16 bytes", id="shorter than a header"),
        pytest.param(blosc_buffer((FORMAT, 1)), "not an lz4 blosc buffer", id="format"),
        pytest.param(blosc_buffer((CODEC, 2)), "not an lz4 blosc buffer", id="version of the codec"),
        pytest.param(blosc_buffer((TYPESIZE, 8)), "not an lz4 blosc buffer", id="size of an element"),
        pytest.param(blosc_buffer((BLOSC_FLAGS, 0x01)), "not an lz4 blosc buffer", id="flags of another codec"),
        pytest.param(blosc_buffer((BLOSC_FLAGS, 0x23)), "not an lz4 blosc buffer", id="flags of a plain copy"),
        pytest.param(blosc_buffer((NBYTES, 4004)), "does not match the expected sizes", id="longer than expected"),
        pytest.param(blosc_buffer((NBYTES, 3996), (BLOCKSIZE, 3996)), "does not match the expected", id="shorter than expected"),
        pytest.param(blosc_buffer((CBYTES, LENGTH + 1)), "does not match the expected sizes", id="length of the buffer"),
        pytest.param(blosc_buffer((BLOCKSIZE, 0)), "does not match the expected sizes", id="blocks of nothing"),
        pytest.param(blosc_buffer((BLOCKSIZE, 4001)), "does not match the expected sizes", id="blocks longer than the data"),
        pytest.param(blosc_buffer((BLOCKSIZE, 1)), "too short for its blocks", id="more blocks than the buffer can list"),
        pytest.param(blosc_buffer((FIRST_START, 19)), "starts outside", id="a block that starts in the table"),
        pytest.param(blosc_buffer((FIRST_START, LENGTH - 3)), "starts outside", id="a block that starts at the end"),
        pytest.param(blosc_buffer((FIRST_START, 2**31)), "starts outside", id="a block that starts behind the end"),
        pytest.param(bytes(COMPRESSED.payload[:20]) + b"\xff" * (LENGTH - 20), "blosc refused", id="body of nonsense"),
    ],
)
def test_a_blosc_buffer_that_lies_is_refused(payload: bytes, message: str) -> None:
    with pytest.raises(FrameError, match=message):
        decode_into(payload, compressed=True, out=np.empty(1000, dtype=np.float32))


def test_a_decompression_that_stops_early_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blosc, "decompress_ptr", lambda *_: 3996)
    with pytest.raises(FrameError, match="blosc wrote 3996 of 4000 bytes"):
        decode_into(COMPRESSED.payload, compressed=True, out=np.empty(1000, dtype=np.float32))


def test_a_raw_payload_of_another_length_is_refused() -> None:
    with pytest.raises(FrameError, match="expected 4000 raw bytes; got 3996"):
        decode_into(bytes(3996), compressed=False, out=np.empty(1000, dtype=np.float32))


def read_into_1000(frame: Frame) -> None:
    messages.read_vector(frame, np.empty(1000, dtype=np.float32))


@pytest.mark.parametrize(
    ("read", "frame", "message"),
    [
        pytest.param(
            read_into_1000,
            Frame(kind=Kind.GRADIENT, dtype=DType.UINT8, count=1000, payload=bytes(1000)),
            "expected 1000 float32 values; got 1000 of uint8",
            id="a vector of bytes",
        ),
        pytest.param(
            read_into_1000,
            Frame(kind=Kind.GRADIENT, dtype=DType.FLOAT32, count=999, payload=bytes(3996)),
            "expected 1000 float32 values; got 999",
            id="a vector of another length",
        ),
        pytest.param(
            messages.read_greeting,
            Frame(kind=Kind.HELLO, count=3, payload=b"{a}"),
            "is not JSON",
            id="greeting that is not JSON",
        ),
        pytest.param(
            messages.read_greeting,
            Frame(kind=Kind.HELLO, count=60_000, payload=b"[" * 60_000),
            "is not JSON",
            id="a greeting that is nested too deeply",
        ),
        pytest.param(
            messages.read_greeting,
            Frame(kind=Kind.HELLO, count=2, payload=b"\xff{"),
            "is not JSON",
            id="greeting of no text",
        ),
        pytest.param(
            messages.read_greeting,
            Frame(kind=Kind.HELLO, count=2, payload=b"[]"),
            "not a JSON object",
            id="greeting of a list",
        ),
        pytest.param(
            messages.read_greeting,
            Frame(kind=Kind.HELLO, count=9, payload=b"{}", compressed=True),
            "not a JSON object",
            id="a compressed greeting",
        ),
        pytest.param(messages.read_goodbye, Frame(kind=Kind.GOODBYE, count=7, payload=bytes(7)), "8 bytes", id="a short goodbye"),
        pytest.param(
            messages.read_goodbye,
            Frame(kind=Kind.GOODBYE, count=9, payload=bytes(8), compressed=True),
            "8 bytes",
            id="a compressed goodbye",
        ),
    ],
)
def test_a_frame_that_does_not_say_what_its_kind_says_is_refused(
    read: Callable[[Frame], object], frame: Frame, message: str
) -> None:
    with pytest.raises(FrameError, match=message):
        read(frame)
