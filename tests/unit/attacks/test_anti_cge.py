"""Anti-CGE by hand, and against the rule that it is made for."""

from typing import Any

import numpy as np
import pytest

from byzshield.aggregation import CGE
from byzshield.attacks import AntiCGE, Situation
from byzshield.seeding import generator


def situation(num_corrupted: int, **others: Any) -> Situation:
    return Situation(step=1, num_rows=7, num_corrupted=num_corrupted, rng=generator(0, "attack", 1), **others)


ROWS = np.array([[0, 5], [3, 0], [0, 1], [9, 9], [0, 7]], np.float32)  # lengths 5, 3, 1, 12.7, 7


@pytest.mark.parametrize(
    ("num_corrupted", "shortest_twice", "total", "bound"),
    [
        (2, False, [3, 6], 7),  # those of lengths 1, 3, 5; the next is 7 long
        (2, True, [3, 7], 7),
        (4, False, [0, 1], 3),
        (4, True, [0, 2], 3),
        (0, False, [12, 22], np.sqrt(162)),
        (5, True, [0, 2], 1),  # CGE keeps none of the honest ones
        (9, False, [0, 1], 1),
    ],
)
def test_it_is_as_long_as_it_may_be_against_the_sum_of_what_stays(
    num_corrupted: int, shortest_twice: bool, total: list[float], bound: float
) -> None:
    forged = AntiCGE(shortest_twice=shortest_twice).forge(ROWS, situation(num_corrupted))
    expected = -bound * np.array(total) / np.linalg.norm(total)
    assert np.allclose(forged, expected, rtol=2e-6)
    assert np.linalg.norm(forged.astype(np.float64)) < bound


@pytest.mark.parametrize("size", [1, 3, 50_000])
def test_cge_keeps_all_of_them_and_would_drop_what_is_longer(size: int) -> None:
    honest = np.random.default_rng(size).standard_normal((9, size)).astype(np.float32)
    forged = AntiCGE().forge(honest, situation(3))
    lengths = np.linalg.norm(honest.astype(np.float64), axis=1)
    kept = honest[np.argsort(lengths)[:6]].sum(axis=0, dtype=np.float64)
    with_them = CGE(num_corrupted=3)(np.concatenate([honest, np.tile(forged, (3, 1))]))
    assert np.allclose(with_them, (kept + 3 * forged.astype(np.float64)) / 9, atol=1e-5)
    longer = CGE(num_corrupted=3)(np.concatenate([honest, np.tile(1.00001 * forged, (3, 1))]).astype(np.float32))
    assert not np.allclose(longer, with_them, atol=1e-4)


def test_files_that_the_accomplices_win_do_not_count() -> None:
    own = np.array([[100, 100], [0, 0.1]], np.float32)
    known = np.concatenate([ROWS, own])
    assert np.array_equal(AntiCGE().forge(known, situation(2, corrupted=(5, 6))), AntiCGE().forge(ROWS, situation(2)))


def test_what_is_not_finite_is_the_longest() -> None:
    known = np.concatenate([ROWS, np.full((1, 2), np.nan, np.float32)])
    forged = AntiCGE(shortest_twice=False).forge(known, situation(3))
    assert np.allclose(forged, -7 * np.array([3, 6]) / np.sqrt(45), rtol=2e-6)
    assert not np.isfinite(AntiCGE().forge(np.full((2, 2), np.nan, np.float32), situation(0))).any()


def test_zeros_have_no_direction() -> None:
    assert not AntiCGE().forge(np.zeros((3, 2), np.float32), situation(1)).any()
