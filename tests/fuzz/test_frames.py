"""Hostile bytes: any input gives a frame or FrameError, and no memory beyond the bound."""

import contextlib
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from byzshield.errors import FrameError
from byzshield.wire import ArrayEncoder, ChunkLayout, Frame, Kind, decode_into, messages

LAYOUT = ChunkLayout(1000, 400)
ACCEPTED = [messages.accepted_by_server(LAYOUT), messages.accepted_as_welcome(), messages.accepted_by_worker(1000, 15)]
BOUNDS = {kind: bound for accepted in ACCEPTED for kind, bound in accepted.payload_bytes.items()}
VECTOR = np.repeat(np.arange(100, dtype=np.float32), 10)
VALID = [
    messages.hello(3, {"torch": "2"}),
    messages.welcome({"witness": [1, 2]}),
    messages.parameters(1, VECTOR, ArrayEncoder("on")),
    messages.digests(3, 1, 2, LAYOUT.digests(VECTOR)),
    messages.fetch(3, 1, 2),
    *messages.gradient_chunks(3, 1, 2, VECTOR, layout=LAYOUT, encoder=ArrayEncoder("on")),
    *messages.gradient_chunks(3, 1, 2, VECTOR, layout=LAYOUT, encoder=ArrayEncoder("off")),
    messages.stop(),
    messages.goodbye(3, 12345),
]


def read_all(data: bytes) -> None:
    """Decodes `data` and its payload as every receiver would."""
    frame = Frame.decode(data, bounds=BOUNDS)
    assert frame.raw_bytes <= BOUNDS[frame.kind]
    assert len(frame.payload) <= len(data)
    if frame.kind in (Kind.HELLO, Kind.WELCOME):
        messages.read_greeting(frame)
    elif frame.kind is Kind.GOODBYE:
        messages.read_goodbye(frame)
    elif frame.kind in (Kind.GRADIENT, Kind.PARAMETERS):
        messages.read_vector(frame, np.empty(400 if frame.kind is Kind.GRADIENT else 1000, dtype=np.float32))


def check(data: bytes) -> None:
    with contextlib.suppress(FrameError):
        read_all(data)


@pytest.mark.parametrize("frame", VALID, ids=lambda frame: frame.kind.name)
def test_what_is_encoded_is_decoded_again(frame: Frame) -> None:
    decoded = Frame.decode(frame.encoded, bounds=BOUNDS)
    assert decoded == frame


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_are_a_frame_or_an_error(data: bytes) -> None:
    check(data)


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_after_a_good_start_are_a_frame_or_an_error(data: bytes) -> None:
    check(VALID[0].encoded[:5] + data)


@settings(max_examples=3000, deadline=None)
@given(
    st.sampled_from([frame.encoded for frame in VALID]),
    st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=6),
    st.integers(-30, 30),
)
def test_a_damaged_frame_is_a_frame_or_an_error(data: bytes, changes: list[tuple[int, int]], length: int) -> None:
    damaged = bytearray(data[: len(data) + length] if length < 0 else data + bytes(length))
    for place, value in changes:
        if damaged:
            damaged[place % min(len(damaged), 140)] = value
    check(bytes(damaged))


@settings(max_examples=2000, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=30))
def test_a_damaged_blosc_buffer_gives_values_or_an_error_and_writes_nowhere_else(changes: list[tuple[int, int]]) -> None:
    compressed, payload = ArrayEncoder("on").encode(VECTOR)
    assert compressed
    damaged = bytearray(payload)
    for place, value in changes:
        damaged[place % len(damaged)] = value
    guarded = np.full(1000 + 200, 7, dtype=np.float32)
    with contextlib.suppress(FrameError):
        decode_into(bytes(damaged), compressed=True, out=guarded[100:1100])
    assert (guarded[:100] == 7).all()
    assert (guarded[1100:] == 7).all()


def test_a_header_that_announces_terabytes_allocates_nothing() -> None:
    frame = messages.gradient_chunks(3, 1, 2, VECTOR, layout=LAYOUT, encoder=ArrayEncoder("off"), chunk=0)[0]
    data = bytearray(frame.encoded)
    for field in (slice(28, 36), slice(36, 44)):  # count, raw length
        data[field] = (2**40).to_bytes(8, "little")
    tracemalloc.start()
    try:
        with pytest.raises(FrameError, match="bound"):
            Frame.decode(bytes(data), bounds=BOUNDS)
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()


def test_a_blosc_header_that_announces_gigabytes_is_refused() -> None:
    _, payload = ArrayEncoder("on").encode(VECTOR)
    lie = bytearray(payload)
    lie[4:8] = (2**31 - 1).to_bytes(4, "little")
    with pytest.raises(FrameError, match="sizes"):
        decode_into(bytes(lie), compressed=True, out=np.empty(1000, dtype=np.float32))


def test_a_kind_that_is_not_expected_is_refused() -> None:
    with pytest.raises(FrameError, match="not accepted"):
        Frame.decode(messages.stop().encoded, bounds=messages.accepted_by_server(LAYOUT).payload_bytes)


def test_deeply_nested_greetings_are_refused() -> None:
    frame = Frame(kind=Kind.HELLO, worker=1, count=60_000, payload=b"[" * 60_000)
    with pytest.raises(FrameError, match="JSON"):
        messages.read_greeting(frame)
