"""Mimic, against a computation of its own that has no blocks and no memory but lists."""

from typing import Any

import numpy as np
import pytest

from byzshield.attacks import Memory, Mimic, Situation
from byzshield.seeding import generator

SIZE = 20_000  # more than two blocks of columns


def rows_of(step: int, size: int = SIZE) -> np.ndarray:
    """Nine gradients, the last of which stand apart from the others along one direction."""
    rng = np.random.default_rng(step)
    rows = rng.standard_normal((9, size)) + 3
    rows[6:] += np.outer([4, 5, 6], np.random.default_rng(99).standard_normal(size))
    return rows.astype(np.float32)


def situation(step: int, memory: Memory, **others: Any) -> Situation:
    return Situation(step=step, num_rows=9, num_corrupted=2, memory=memory, rng=generator(7, "attack", step), **others)


def copied(attack: Mimic, steps: int, **others: Any) -> list[int]:
    """Which row it copies in each step."""
    memory: Memory = {}
    rows = []
    for step in range(1, steps + 1):
        known = rows_of(step)
        forged = attack.forge(known, situation(step, memory, **others))
        rows.append(next(row for row in range(9) if np.array_equal(known[row], forged)))
    return rows


def directions(steps: int) -> list[np.ndarray]:
    """z after each step of the published recursion."""
    found: list[np.ndarray] = []
    mean = np.zeros(SIZE)
    for t in range(steps):
        x = rows_of(t + 1).astype(np.float64)
        mean = t / (1 + t) * mean + x.mean(axis=0) / (1 + t)
        z = found[-1] if t else generator(7, "attack", 1).standard_normal(SIZE)
        along = (x - mean).T @ ((x - mean) @ z)
        along /= np.linalg.norm(along)
        z = t / (1 + t) * z + along / (1 + t) if t else along
        found.append(z / np.linalg.norm(z))
    return found


def products(step: int, z: np.ndarray) -> np.ndarray:
    return rows_of(step).astype(np.float64) @ z


def test_after_one_step_of_learning_it_copies_the_same_file_for_ever() -> None:
    first = int(products(1, directions(1)[0]).argmax())
    assert copied(Mimic(), 4) == [first] * 4


@pytest.mark.parametrize(
    ("target", "best"),
    [("largest", np.argmax), ("smallest", np.argmin), ("farthest", lambda products: np.abs(products).argmax())],
)
def test_while_it_learns_and_where_it_goes_on_choosing_the_best_is_by_the_direction_of_the_step(target: Any, best: Any) -> None:
    z = directions(3)
    expected = [int(best(products(step, z[min(step, 3) - 1]))) for step in range(1, 6)]
    assert copied(Mimic(warmup=3, afterwards="choose", target=target), 5) == expected
    assert copied(Mimic(warmup=3, target=target), 5) == [*expected[:3], expected[2], expected[2]]
    assert copied(Mimic(warmup=3, meanwhile="row", row=1, afterwards="choose", target=target), 5) == [1, 1, 1, *expected[3:]]


def test_the_direction_in_its_memory_is_that_of_the_recursion() -> None:
    memory: Memory = {}
    attack = Mimic(warmup=5)
    for step, z in enumerate(directions(4), start=1):
        attack.forge(rows_of(step), situation(step, memory))
        assert np.allclose(memory["z"], z, atol=1e-12)
        assert np.allclose(memory["mean"], np.mean([rows_of(before) for before in range(1, step + 1)], axis=(0, 1)), atol=1e-6)


def test_without_learning_it_copies_its_row_or_the_last_honest_one_and_needs_no_memory() -> None:
    assert copied(Mimic(warmup=0, row=2), 3) == [2, 2, 2]
    assert copied(Mimic(warmup=0, row=2), 1, corrupted=(0, 2, 3, 6, 7)) == [5]
    assert copied(Mimic(warmup=0, row=9), 1) == [8]
    assert not Mimic(warmup=0).remembers


def test_what_accomplices_win_is_neither_copied_nor_learned_from() -> None:
    won = (6, 7, 8)
    attack, memory, other = Mimic(warmup=2), Memory(), Memory()
    assert copied(attack, 3, corrupted=won)[0] not in won
    attack.forge(rows_of(1), situation(1, memory, corrupted=won))
    attack.forge(rows_of(1)[:6], situation(1, other))
    assert np.array_equal(memory["z"], other["z"])


def test_a_kept_file_is_found_by_its_number_where_other_files_are_known() -> None:
    memory: Memory = {}
    known = rows_of(1)
    attack = Mimic()
    forged = attack.forge(known, situation(1, memory, files=tuple(range(10, 19))))
    kept = int(memory["target"])
    assert np.array_equal(known[kept - 10], forged)
    later = attack.forge(rows_of(2)[:2], situation(2, memory, files=(3, kept)))
    assert np.array_equal(later, rows_of(2)[1])
    unknown = attack.forge(rows_of(3)[:2], situation(3, memory, files=(3, 4)))
    assert np.array_equal(unknown, rows_of(3)[0])
    assert int(memory["target"]) == kept


def test_equal_gradients_have_no_direction_and_are_copied() -> None:
    memory: Memory = {}
    ones = np.ones((4, 3), np.float32)
    for step in (1, 2, 3):
        assert Mimic(warmup=2).forge(ones, situation(step, memory)).tolist() == [1, 1, 1]


def test_a_gradient_that_is_not_finite_is_not_copied_unless_all_are() -> None:
    rows = rows_of(1, 10)
    rows[0] = np.nan
    assert np.isfinite(Mimic().forge(rows, situation(1, {}))).all()
    assert np.isnan(Mimic().forge(rows[:1], situation(1, {}))).all()
