"""The attacks of Fang et al.: what they send, against brute force, and that it harms."""

from typing import Any

import numpy as np
import pytest

import byzshield as bz
from byzshield.attacks import Situation
from byzshield.errors import ParameterError


def population(n: int, d: int, seed: int = 0, mean: float = 0.3) -> np.ndarray:
    """Rows about a mean whose coordinates have both signs, float64."""
    rng = np.random.default_rng(seed)
    return rng.normal(0, mean, size=d) + rng.normal(size=(n, d))


def received(honest: np.ndarray, forged: np.ndarray, num_forged: int) -> np.ndarray:
    return np.vstack([honest, np.tile(forged, (num_forged, 1))])


def test_each_value_is_between_the_edge_and_b_times_it_on_the_side_against_the_mean() -> None:
    # Columns: mean > 0 and least > 0; mean > 0 and least < 0; mean < 0 and greatest < 0; mean < 0 and greatest > 0; mean 0.
    honest = np.array([[2.0, -1.0, -6.0, 3.0, 1.0], [4.0, 8.0, -2.0, -9.0, -1.0]])
    bounds = {2.0: [(1, 2), (-2, -1), (-2, -1), (3, 6), (0, 0)], 4.0: [(0.5, 2), (-4, -1), (-2, -0.5), (3, 12), (0, 0)]}
    for b, intervals in bounds.items():
        drawn = np.array([bz.Fang(b=b)(honest, seed=seed) for seed in range(200)])
        for values, (low, high) in zip(drawn.T, intervals, strict=True):
            assert low <= values.min() <= low + 0.05 * (high - low)
            assert high - 0.05 * (high - low) <= values.max() <= high


def test_the_draws_are_those_of_the_step_and_the_seed_and_the_same_in_blocks() -> None:
    honest = population(5, 20_000).astype(np.float32)  # more than two blocks of columns
    forged = bz.Fang()(honest, step=2, seed=1)
    assert np.array_equal(bz.Fang()(honest, step=2, seed=1), forged)
    assert not np.array_equal(bz.Fang()(honest, step=3, seed=1), forged)
    edge = np.where(honest.mean(0, dtype=np.float64) < 0, honest.max(0), honest.min(0)).astype(np.float64)
    side = np.sign(honest.mean(0, dtype=np.float64)) * edge > 0
    drawn = (forged - edge) / (np.where(side, edge / 2, 2 * edge) - edge)
    assert abs(np.corrcoef(drawn[:8192], drawn[8192:16384])[0, 1]) < 0.05
    assert 0.49 < drawn.mean() < 0.51


def test_with_partial_knowledge_it_is_three_and_a_half_deviations_beyond_the_mean() -> None:
    honest = population(8, 50)
    expected = honest.mean(0) - 3.5 * honest.std(0) * np.sign(honest.mean(0))
    assert np.allclose(bz.Fang(version="partial")(honest), expected)


def with_the_known_bug(honest: np.ndarray, rng: np.random.Generator, b: float = 2.0) -> np.ndarray:
    """What code that is passed on sends: both kinds of value where the mean is positive, and 0 elsewhere."""
    low, high = honest.min(0), honest.max(0)
    above = high + rng.random(len(high)) * (np.where(high > 0, b * high, high / b) - high)
    below = np.where(low < 0, b * low, low / b)
    return (honest.mean(0) > 0) * (above + below + rng.random(len(low)) * (low - below))


@pytest.mark.parametrize("version", ["full", "partial"])
def test_it_turns_the_mean_back_where_the_known_bug_helps_it_on(version: Any) -> None:
    rule = bz.TrimmedMean(10)
    honest = 0.3 + np.random.default_rng(0).normal(size=(40, 1000))
    mean = honest.mean(0)
    forged = {"it": bz.Fang(version=version)(honest), "bug": with_the_known_bug(honest, np.random.default_rng(0))}
    towards = {name: float(rule(received(honest, row, 10)) @ mean) for name, row in forged.items()}
    without = float(rule(honest) @ mean)
    assert towards["it"] < 0 < without < towards["bug"]


def krum_choice(rows: np.ndarray, f: int) -> int:
    """The row with the least sum of squared distances to its n - f - 2 nearest others."""
    squared = ((rows[:, None] - rows) ** 2).sum(axis=2)
    return int(np.argmin([np.sort(np.delete(line, row))[: len(rows) - f - 2].sum() for row, line in enumerate(squared)]))


def first_lambda(honest: np.ndarray, f: int, start: str) -> float:
    d, n = honest.shape[1], len(honest) + f
    squared = ((honest[:, None] - honest) ** 2).sum(axis=2)
    nearest = [np.sort(np.delete(line, row))[: n - f - 2] for row, line in enumerate(squared)]
    if start == "theorem":
        least = min(line.sum() for line in nearest)
        return float(np.sqrt(least / ((n - 2 * f - 1) * d)) + np.linalg.norm(honest, axis=1).max() / np.sqrt(d))
    least = min((line if start == "squared" else np.sqrt(line)).sum() for line in nearest)
    farthest = np.linalg.norm(honest - honest.mean(0), axis=1).max()
    return float(least / ((n - f - 1) * np.sqrt(d)) + farthest / np.sqrt(d))


@pytest.mark.parametrize("start", ["squared", "unsquared", "theorem"])
@pytest.mark.parametrize(("h", "f", "d"), [(20, 5, 30), (9, 2, 3), (8, 6, 400)])
def test_lambda_is_halved_until_krum_picks_what_is_sent(start: Any, h: int, f: int, d: int) -> None:
    honest = population(h, d, seed=d)
    factor, signs = first_lambda(honest, f, start), np.sign(honest.mean(0))
    while factor > 1e-5 and krum_choice(received(honest, -factor * signs, f), f) < h:
        factor /= 2
    assert np.allclose(bz.FangKrum(start=start)(honest, num_corrupted=f), -factor * signs, rtol=1e-9)


def test_it_turns_krum_back() -> None:
    honest = population(20, 200, mean=0.1)
    forged = bz.FangKrum()(honest, num_corrupted=5)
    chosen = bz.Krum(5)(received(honest, forged, 5))
    assert np.array_equal(chosen, forged)
    assert chosen @ honest.mean(0) < 0


def test_where_krum_picks_none_it_sends_the_last_lambda() -> None:
    honest = np.ones((11, 4)) * np.arange(1, 5)  # ten equal rows, which no single copy can beat
    honest[0] = 90
    forged = bz.FangKrum()(honest, num_corrupted=1)
    assert (forged < 0).all()
    assert (np.abs(forged) <= 1e-5).all()


def test_in_a_run_the_true_gradients_of_corrupted_files_are_no_rivals_of_the_copies() -> None:
    known = population(12, 30)
    known[[1, 4]] = known.mean(0)  # which Krum would pick
    honest = np.delete(known, [1, 4], axis=0)
    situation = Situation(step=1, num_rows=12, num_corrupted=2, corrupted=(1, 4), rng=np.random.default_rng(0))
    forged = bz.FangKrum().forge(known, situation)
    assert krum_choice(received(honest, forged, 2), 2) >= 10
    assert krum_choice(received(honest, 2 * forged, 2), 2) < 10


@pytest.mark.parametrize("attack", [bz.Fang(), bz.Fang(version="partial"), bz.FangKrum()], ids=repr)
def test_rows_that_are_not_finite_do_not_count(attack: Any) -> None:
    honest = population(9, 6).astype(np.float32)
    more = np.insert(honest, [0, 3], [[np.nan] * 6, [1, np.inf, 1, 1, -np.inf, 1]], axis=0)
    assert attack(more, num_corrupted=2).tobytes() == attack(honest, num_corrupted=2).tobytes()
    assert np.isnan(attack(more[:1], num_corrupted=2)).all()


def test_values_at_the_end_of_the_range_stay_in_it() -> None:
    largest = float(np.finfo(np.float32).max)
    honest = np.array([[largest, -largest], [-largest, -largest], [largest, -largest]], np.float32)
    assert np.isfinite(bz.Fang()(honest)).all()
    assert np.isfinite(bz.Fang(version="partial")(honest)).all()


def test_krum_needs_the_number_of_forged_rows() -> None:
    with pytest.raises(ParameterError, match="needs num_corrupted"):
        bz.FangKrum()(population(5, 3))
