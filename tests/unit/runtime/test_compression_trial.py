"""Compression "auto" in an MPI job: the faster way is taken, and tried again."""

from collections.abc import Callable

import numpy as np
import pytest

from byzshield.runtime.compression_trial import HELD, ORDER, CompressionTrial
from byzshield.wire import ArrayEncoder, Frame, Kind, messages

TRIED = 1 + len(ORDER)  # steps; the first does not count


def play(trial: CompressionTrial, steps: int, seconds: Callable[[int, bool], float]) -> list[bool]:
    chosen = []
    for step in range(steps):
        chosen.append(trial.begin_step())
        trial.end_step(seconds(step, chosen[-1]))
    return chosen


@pytest.mark.parametrize(("with_it", "expected"), [(0.9, True), (0.99, False), (1.1, False)])
def test_the_faster_way_is_taken_if_it_is_worth_the_work(with_it: float, expected: bool) -> None:
    chosen = play(CompressionTrial(), TRIED + HELD, lambda step, compressed: with_it if compressed else 1.0)
    assert chosen[:TRIED] == [False, *ORDER]
    assert chosen[TRIED:] == [expected] * HELD


def test_neither_a_slow_first_step_nor_a_drift_nor_one_hiccup_decides() -> None:
    def seconds(step: int, compressed: bool) -> float:
        return (50.0 if step == 0 else 1.0 + 0.05 * step) + 30.0 * (step == 1) + 30.0 * (step == 2) - 0.2 * compressed

    assert play(CompressionTrial(), TRIED + 1, seconds)[-1] is True


def test_another_network_is_noticed_at_the_next_trial() -> None:
    trial = CompressionTrial()
    play(trial, TRIED + HELD, lambda step, compressed: 1.0 - 0.5 * compressed)
    chosen = play(trial, len(ORDER) + HELD, lambda step, compressed: 1.0 + 0.5 * compressed)
    assert chosen == [*ORDER, *[False] * HELD]


def test_the_parameters_tell_a_worker_whether_to_compress() -> None:
    noise = np.random.default_rng(1).standard_normal(4096, dtype=np.float32)
    encoder = ArrayEncoder("auto")
    for compresses in (True, False):
        encoder.follow(compresses)
        frame = Frame.decode(messages.parameters(3, noise, encoder).encoded, bounds={Kind.PARAMETERS: noise.nbytes})
        assert (frame.chunk, frame.compressed) == (compresses, compresses)
