"""Attacks on the protocol, message by message."""

import os
import signal
from collections.abc import Sequence

import numpy as np
import pytest

from byzshield.attacks import ATTACKS, Attack, Situation
from byzshield.attacks.message_attack import raw_payload
from byzshield.seeding import generator
from byzshield.wire import DIGEST_BYTES, ArrayEncoder, ChunkLayout, DType, Frame, Kind, Message, messages

VECTOR = np.array([1, -2, 3, 0, 5], np.float32)
LAYOUT = ChunkLayout(5, 2)
VOTE = messages.digests(3, 7, 1, LAYOUT.digests(VECTOR))


def vote(step: int) -> list[Frame]:
    return [messages.digests(3, step, 1, LAYOUT.digests(VECTOR * step))]


def chunks(step: int = 7) -> list[Frame]:
    return messages.gradient_chunks(3, step, 1, VECTOR * step, layout=LAYOUT, encoder=ArrayEncoder("off"))


def sent(attack: Attack, frames: list[Frame], step: int = 7, worker: int = 3) -> list[Frame]:
    reply = attack.tamper(frames, worker=worker, step=step)
    assert all(isinstance(each, Frame) for each in reply)
    return [each for each in reply if isinstance(each, Frame)]


def values(frames: Sequence[Frame]) -> list[float]:
    return [value for frame in frames for value in np.frombuffer(raw_payload(frame), "<f4").tolist()]


def test_a_payload_is_the_negative_of_what_was_voted_for() -> None:
    attack = ATTACKS.get("digest_payload_mismatch")()
    assert sent(attack, [VOTE]) == [VOTE]
    assert values(sent(attack, chunks(step=1))) == [-1, 2, -3, 0, -5]
    assert sent(attack, chunks(step=1))[1].payload != chunks(step=1)[1].payload  # -0 is not 0


def test_the_same_request_gets_another_answer() -> None:
    attack = ATTACKS.get("changing_payload")()
    first, again = sent(attack, chunks()), sent(attack, chunks())
    assert [frame.count for frame in first] == [2, 2, 1]
    assert all(ours.payload != theirs.payload for ours, theirs in zip(first, again, strict=True))


@pytest.mark.parametrize(("difference", "counts"), [(-1, [1, 1, 0]), (2, [4, 4, 3]), (-50, [0, 0, 0])])
def test_a_wrong_length_is_whole_in_itself(difference: int, counts: list[int]) -> None:
    resized = sent(ATTACKS.get("wrong_length")(difference=difference), chunks())
    assert [frame.count for frame in resized] == counts
    for frame in resized:
        assert Frame.decode(frame.encoded, bounds={Kind.GRADIENT: 100}) == frame


def test_a_wrong_dtype_has_the_right_bytes() -> None:
    attack = ATTACKS.get("wrong_dtype")()
    (ballot,), (first, *_) = sent(attack, [VOTE]), sent(attack, chunks())
    assert (ballot.dtype, ballot.count) == (DType.FLOAT32, 3 * DIGEST_BYTES // 4)
    assert (first.dtype, first.count) == (DType.UINT8, 8)
    assert (ballot.payload, first.payload) == (VOTE.payload, chunks()[0].payload)


def test_late_messages_come_with_those_of_the_step_in_which_they_are_due() -> None:
    attack = ATTACKS.get("lateness")(delay=2, at_steps=[1, 2])
    assert sent(attack, vote(1), 1) == []
    assert sent(attack, chunks(1), 1) == []
    assert sent(attack, vote(2), 2) == []
    assert sent(attack, vote(2), 2, worker=9) == []
    assert sent(attack, vote(3), 3) == [*vote(1), *chunks(1), *vote(3)]
    assert sent(attack, vote(5), 5) == [*vote(2), *vote(5)]
    assert sent(attack, vote(6), 6) == vote(6)


def test_a_stale_step_stays_a_number_that_fits_a_frame() -> None:
    assert [frame.step for frame in sent(ATTACKS.get("wrong_step")(offset=-9), vote(7))] == [0]
    assert [frame.step for frame in sent(ATTACKS.get("wrong_step")(offset=2**40), vote(7))] == [2**32 - 1]


def test_a_replay_is_the_last_message_under_the_present_number() -> None:
    attack = ATTACKS.get("replay")(at_steps=[3, 4])
    assert sent(attack, chunks(1), 1) == chunks(1)
    assert sent(attack, chunks(2), 2) == chunks(2)
    replayed = sent(attack, chunks(3), 3)
    assert [frame.step for frame in replayed] == [3, 3, 3]
    assert values(replayed) == values(chunks(2))
    assert sent(attack, chunks(3), 3, worker=4) == chunks(3)
    assert values(sent(attack, chunks(4), 4)) == values(chunks(3))


def test_the_dying_send_half_and_then_end_their_process_under_mpirun_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    killed: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda pid, number: killed.append((pid, number)))
    for rank, expected in ((None, []), ("4", [(os.getpid(), signal.SIGKILL)])):
        monkeypatch.delenv("PMIX_RANK", raising=False)
        if rank is not None:
            monkeypatch.setenv("PMIX_RANK", rank)
        attack = ATTACKS.get("death")(at_steps=[7])
        assert sent(attack, vote(6), 6) == vote(6)
        (half,) = attack.tamper([VOTE], worker=3, step=7)
        assert isinstance(half, Message)
        assert half.data == VOTE.encoded[: len(VOTE.encoded) // 2]
        assert killed == []
        assert sent(attack, vote(8), 8) == []
        assert killed == expected
    assert sent(ATTACKS.get("death")(), chunks()) == chunks()[:1]


def test_the_last_bit_is_turned_in_its_steps_alone() -> None:
    attack = ATTACKS.get("last_bit_flip")(at_steps=[2])
    flipped, kept = (
        attack.forge(VECTOR, Situation(step=step, num_rows=1, num_corrupted=0, rng=generator(0, "test"))) for step in (2, 1)
    )
    assert kept.tobytes() == VECTOR.tobytes()
    assert (flipped.view(np.uint32) ^ VECTOR.view(np.uint32)).tolist() == [1] * 5
    assert np.allclose(flipped, VECTOR, rtol=2e-7)
