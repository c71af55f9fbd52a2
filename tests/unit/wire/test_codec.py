"""Arrays to payloads and back, and when compression is kept."""

import numpy as np
import pytest

from byzshield.errors import FrameError, ParameterError
from byzshield.wire import ArrayEncoder, ChunkLayout, decode_into, digest

NOISE = np.random.default_rng(0).standard_normal(50_000).astype(np.float32)
RANDOM_BITS = np.random.default_rng(1).integers(0, 2**32, 50_000, dtype=np.uint32).view(np.float32)
SPARSE = np.where(np.arange(50_000) % 10 == 0, NOISE, 0).astype(np.float32)


@pytest.mark.parametrize("compression", ["auto", "on", "off"])
@pytest.mark.parametrize("values", [NOISE, SPARSE, np.zeros(1, np.float32)], ids=["noise", "sparse", "one"])
def test_values_come_back_bit_for_bit(compression: str, values: np.ndarray) -> None:
    compressed, payload = ArrayEncoder(compression).encode(values)  # type: ignore[arg-type]
    out = np.full_like(values, np.nan)
    decode_into(payload, compressed=compressed, out=out)
    assert out.tobytes() == values.tobytes()


def test_special_values_come_back_bit_for_bit() -> None:
    values = np.array([np.nan, np.inf, -np.inf, -0.0, 1e-45] * 500, dtype=np.float32)
    compressed, payload = ArrayEncoder("on").encode(values)
    assert compressed
    out = np.empty_like(values)
    decode_into(payload, compressed=compressed, out=out)
    assert out.tobytes() == values.tobytes()


def test_auto_does_what_it_is_told_and_the_others_what_they_were_set_to() -> None:
    for compression, kept in (("auto", [False, True, False]), ("on", [True] * 3), ("off", [False] * 3)):
        encoder = ArrayEncoder(compression)  # type: ignore[arg-type]
        seen = []
        for told in (None, True, False):
            if told is not None:
                encoder.follow(told)
            seen.append(encoder.encode(NOISE)[0])
        assert seen == kept


def test_chunks_that_do_not_shrink_are_sent_raw_and_tried_ever_less() -> None:
    encoder = ArrayEncoder("on")
    for _ in range(10):
        assert encoder.encode(RANDOM_BITS)[0] is False
    kept = [encoder.encode(SPARSE)[0] for _ in range(70)]
    assert kept[0] is False
    assert kept[-1] is True


def test_another_word_for_compression_is_refused() -> None:
    with pytest.raises(ParameterError, match="auto, on, off"):
        ArrayEncoder("fast")  # type: ignore[arg-type]


def test_a_raw_payload_of_the_wrong_length_is_refused() -> None:
    with pytest.raises(FrameError, match="expected"):
        decode_into(b"1234", compressed=False, out=np.empty(2, np.float32))


def test_the_chunks_of_a_vector_cover_it_once() -> None:
    layout = ChunkLayout(1001, 250)
    assert layout.num_chunks == 5
    assert np.concatenate([np.arange(1001)[layout.slice(chunk)] for chunk in range(5)]).tolist() == list(range(1001))


def test_one_bit_changes_the_digest_of_its_chunk_alone() -> None:
    layout = ChunkLayout(len(NOISE), 20_000)
    changed = NOISE.copy()
    changed.view(np.uint32)[30_000] ^= 1
    ours, theirs = layout.digests(NOISE), layout.digests(changed)
    assert [layout.digest_of(ours, chunk) == layout.digest_of(theirs, chunk) for chunk in range(3)] == [True, False, True]
    assert layout.digest_of(ours, 2) == digest(NOISE[40_000:])
