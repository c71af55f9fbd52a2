"""Memory that is used again once nobody refers to it."""

import numpy as np
import pytest

from byzshield import reuse
from byzshield.reuse import Reused


def test_a_buffer_is_used_again_once_nobody_refers_to_it() -> None:
    buffers = Reused(bytearray, most=2)
    first = buffers.take(8)
    first[:] = b"as it is"
    address = id(first)
    del first
    again = buffers.take(4)
    assert (id(again), len(again), bytes(again)) == (address, 8, b"as it is")


def test_a_buffer_of_which_somebody_keeps_a_view_is_left_alone() -> None:
    buffers = Reused(bytearray, most=2)
    view = memoryview(buffers.take(8))[2:4]
    buffers.take(8)[:] = b"x" * 8
    assert bytes(view) == b"\0\0"
    vectors = Reused(np.zeros, most=2)
    part = vectors.take(4)[1:3]
    vectors.take(4)[:] = 1.0
    assert part.tolist() == [0.0, 0.0]


def test_no_more_buffers_are_kept_than_said() -> None:
    buffers = Reused(bytearray, most=2)
    held = [buffers.take(8) for _ in range(3)]
    assert len({id(buffer) for buffer in held}) == 3
    beyond = id(held[2])
    kept = {id(held[0]), id(held[1])}
    held.clear()
    again = [buffers.take(8), buffers.take(8)]
    assert {id(buffer) for buffer in again} == kept != {beyond}


def test_a_buffer_that_is_too_small_gives_its_place_to_a_larger_one() -> None:
    buffers = Reused(bytearray, most=1)
    assert len(buffers.take(4)) == 4
    larger = buffers.take(16)
    address = id(larger)
    del larger
    assert id(buffers.take(4)) == address


def test_finding_a_free_buffer_costs_no_more_where_many_are_kept_and_let_go_together(monkeypatch: pytest.MonkeyPatch) -> None:
    buffers = Reused(bytearray, most=100)
    held = [buffers.take(8) for _ in range(100)]
    held.clear()
    looked_at: list[int] = []
    original = reuse._references
    monkeypatch.setattr(reuse, "_references", lambda kept, index: looked_at.append(index) or original(kept, index))  # type: ignore[func-returns-value]
    held = [buffers.take(8) for _ in range(100)]
    assert len({id(buffer) for buffer in held}) == 100
    assert len(looked_at) <= 200
