"""ROP and PoisonedFL, against short computations of their own over several steps."""

import math

import numpy as np
import pytest

from byzshield.attacks import ROP, Memory, PoisonedFL, Situation
from byzshield.attacks.alie import z_max
from byzshield.errors import ParameterError
from byzshield.seeding import generator

SIZE = 30


def rows_of(step: int, size: int = SIZE) -> np.ndarray:
    return (np.random.default_rng(step).standard_normal((6, size)) + 1).astype(np.float32)


def parameters_at(step: int) -> np.ndarray:
    return np.random.default_rng(1000 + step).standard_normal(SIZE).astype(np.float32)


def situation(step: int, memory: Memory, parameters: np.ndarray | None = None) -> Situation:
    return Situation(
        step=step,
        num_rows=25,
        num_corrupted=3,
        parameters=parameters_at(step) if parameters is None else parameters,
        memory=memory,
        rng=generator(3, "attack", step),
    )


def unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)


@pytest.mark.parametrize("angle", [270.0, 90.0, 180.0, 30.0])
@pytest.mark.parametrize("learning_rate", [0.1, None])
def test_rop_is_the_published_computation_around_the_last_update(angle: float, learning_rate: float | None) -> None:
    attack, memory = ROP(z=2.0, angle=angle, blend=0.8, location=0.6, learning_rate=learning_rate), Memory()
    for step in (1, 2, 3):
        forged = attack.forge(rows_of(step), situation(step, memory))
        mu = rows_of(step).astype(np.float64).mean(axis=0)
        update = parameters_at(step - 1).astype(np.float64) - parameters_at(step)
        m = mu if step == 1 else update / 0.1 if learning_rate else unit(update) * np.linalg.norm(mu)
        u = 0.8 * m + 0.2 * mu
        ones = np.ones(SIZE)
        across = ones - u * (ones @ u) / (u @ u)
        p = unit(across) * math.sin(math.radians(angle)) + unit(u) * math.cos(math.radians(angle))
        assert np.allclose(forged, 0.6 * m + 0.4 * mu + 2.0 * p / np.linalg.norm(p), atol=1e-5)


def test_the_defaults_of_rop_are_the_published_ones() -> None:
    mu = rows_of(1).astype(np.float64).mean(axis=0)
    across = np.ones(SIZE) - mu * mu.sum() / (mu @ mu)
    assert np.allclose(ROP().forge(rows_of(1), situation(1, {})), mu - z_max(25, 3) * unit(across), atol=1e-6)
    assert ROP().needs_num_corrupted
    assert not ROP(z=1.0).needs_num_corrupted


def test_a_step_that_moved_nothing_leaves_the_last_update_as_it_was() -> None:
    memory: Memory = {}
    attack = ROP(z=1.0, location=1.0, learning_rate=0.5)
    attack.forge(rows_of(1), situation(1, memory))
    moved = attack.forge(rows_of(2), situation(2, memory))
    assert np.array_equal(attack.forge(rows_of(2), situation(3, memory, parameters_at(2))), moved)


def test_rop_goes_where_no_sum_of_coordinates_is_left() -> None:
    # The last update has equal coordinates, so nothing of (1, ..., 1) is across it.
    memory: Memory = {}
    attack = ROP(z=1.0, learning_rate=1.0, blend=1.0)
    attack.forge(rows_of(1), situation(1, memory, np.zeros(SIZE, np.float32)))
    forged = attack.forge(rows_of(2), situation(2, memory, np.full(SIZE, -2, np.float32)))
    assert np.isfinite(forged).all()


@pytest.mark.parametrize("learning_rate", [0.1, None])
def test_poisoned_fl_is_the_published_computation_in_updates(learning_rate: float | None) -> None:
    attack, memory = PoisonedFL(c=6.0, learning_rate=learning_rate), Memory()
    forged = attack.forge(rows_of(1), situation(1, memory))
    assert not forged.any()
    signs = memory["signs"].astype(np.float64)
    assert set(signs.tolist()) == {-1.0, 1.0}
    sent = np.zeros(SIZE)
    for step in (2, 3, 4):
        h = parameters_at(step).astype(np.float64) - parameters_at(step - 1)
        k = np.abs(h - sent * np.linalg.norm(h) / (np.linalg.norm(sent) or 1))
        sent = 6.0 * np.linalg.norm(h) * k * signs / np.linalg.norm(k)
        forged = attack.forge(rows_of(step), situation(step, memory))
        mu = rows_of(step).astype(np.float64).mean(axis=0)
        as_gradient = -sent / 0.1 if learning_rate else -sent * np.linalg.norm(mu) / np.linalg.norm(h)
        assert np.allclose(forged, as_gradient, rtol=1e-4, atol=1e-5)


def follow(attack: PoisonedFL, steps: int, along: float) -> list[float]:
    """c after each step, where the parameters move along the signs or against them."""
    memory: Memory = {}
    found, parameters = [], np.zeros(SIZE, np.float32)
    for step in range(1, steps + 1):
        attack.forge(rows_of(step), situation(step, memory, parameters))
        found.append(float(memory["c"]))
        parameters = parameters + along * memory["signs"].astype(np.float32)
    return found


def test_c_falls_where_the_parameters_do_not_follow_and_stays_above_the_least() -> None:
    attack = PoisonedFL(c=8.0, decay=0.5, check_every=3, least=1.5)
    assert follow(attack, 10, along=-1.0) == [8, 8, 8, 4, 4, 4, 2, 2, 2, 2]
    assert follow(attack, 10, along=1.0) == [8.0] * 10
    assert follow(PoisonedFL(c=8.0, decay=0.5, check_every=1), 4, along=-1.0) == [8, 4, 2, 1]
    assert follow(PoisonedFL(), 52, along=-1.0)[49:] == [8.0, 5.6, 5.6]


def test_what_is_not_finite_does_not_last() -> None:
    broken = rows_of(2).copy()
    broken[1] = np.nan
    for attack in (ROP(z=1.0), PoisonedFL()):
        memory: Memory = {}
        for step, rows in enumerate((rows_of(1), broken, np.full((6, SIZE), np.nan, np.float32), rows_of(4)), start=1):
            assert np.isfinite(attack.forge(rows, situation(step, memory))).all()


def test_statistics_behind_the_parameters_do_not_move() -> None:
    memory: Memory = {}
    attack = PoisonedFL(learning_rate=0.1)
    for step in (1, 2):
        forged = attack.forge(rows_of(step, SIZE + 5), situation(step, memory))
    assert forged[:SIZE].all()
    assert not forged[SIZE:].any()


def test_outside_of_a_run_the_caller_has_the_memory_and_the_parameters() -> None:
    memory: Memory = {}
    for step in (1, 2):
        forged = PoisonedFL(learning_rate=0.1)(rows_of(step), step=step, memory=memory, parameters=parameters_at(step))
    assert forged.all()
    assert not PoisonedFL(learning_rate=0.1)(rows_of(2), step=2, parameters=parameters_at(2)).any()
    for parameters in (np.zeros(SIZE + 1), np.zeros((1, SIZE))):
        with pytest.raises(ParameterError, match="parameters must be at most 30 values, like a row; got"):
            ROP(z=1.0)(rows_of(1), parameters=parameters)
