"""Min-max and min-sum: how far out they go, and what they make of extreme gradients."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from byzshield.aggregation.kernels import columns
from byzshield.attacks import Attack, MinMax, MinSum
from byzshield.config import RunConfig
from byzshield.runtime import simulate

ATTACKS = [
    *(MinMax(perturbation=p) for p in ("std", "unit", "sign")),
    *(MinSum(perturbation=p, bound=bound) for p in ("std", "unit", "sign") for bound in ("min", "max")),
]
of_each_attack = pytest.mark.parametrize("attack", ATTACKS, ids=repr)


def population(n: int, d: int, seed: int = 0) -> np.ndarray:
    """Rows of unequal spread about a mean that is not 0, float64."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=d) + rng.normal(size=(n, d)) * rng.uniform(0.1, 2, size=d) * rng.uniform(0.5, 2, size=(n, 1))


def perturbation_of(attack: Any, rows: np.ndarray) -> np.ndarray:
    mean = rows.mean(axis=0)
    vectors = {"std": rows.std(axis=0, ddof=1), "unit": mean / np.linalg.norm(mean), "sign": np.sign(mean)}
    return np.asarray(vectors[attack.perturbation])


def within(attack: Any, rows: np.ndarray, forged: np.ndarray) -> bool:
    """Whether the published condition holds for what is forged."""
    squared = ((rows[:, None] - rows) ** 2).sum(axis=2)
    distances = ((rows - forged) ** 2).sum(axis=1)
    if isinstance(attack, MinMax):
        return bool(distances.max() <= squared.max())
    sums = squared.sum(axis=1)
    return bool(distances.sum() <= (sums.min() if attack.bound == "min" else sums.max()))


def searched(attack: Any, rows: np.ndarray, start: float = 10.0) -> float:
    """gamma by the search of the authors, which stays below twice its start."""
    mean, perturbation = rows.mean(axis=0), perturbation_of(attack, rows)
    gamma, step, found = start, start, 0.0
    while abs(found - gamma) > 1e-5:
        step /= 2
        if within(attack, rows, mean - gamma * perturbation):
            found, gamma = gamma, gamma + step
        else:
            gamma -= step
    return found


def test_min_max_by_hand() -> None:
    # Mean 2; the rows farthest apart are 0 and 5, so that 0 is as far from 5 as it may be.
    assert MinMax()(np.array([[1.0], [0.0], [5.0], [2.0]])).tolist() == [0.0]
    # Mean (0, 1); the first two rows are 4 apart, and so are the third and (0, -1), which is less from the others.
    rows = np.array([[2.0, 0.0], [-2.0, 0.0], [0.0, 3.0]])
    assert np.allclose(MinMax(perturbation="unit")(rows), [0, -1], atol=1e-15)


def test_min_sum_by_hand() -> None:
    # The mean is 3; the rows are 1, 3 and 4 from it, so the forged row is 1, or 4, from it on the side of the lesser values.
    rows = np.array([[2.0], [0.0], [7.0]])
    assert MinSum()(rows).tolist() == [2.0]
    assert MinSum(bound="max")(rows).tolist() == [-1.0]
    assert np.allclose(MinSum(perturbation="unit")(rows), [2.0])


@of_each_attack
@pytest.mark.parametrize("n", [2, 3, 25])
def test_it_is_what_the_search_of_the_authors_comes_to(attack: Attack, n: int) -> None:
    rows = population(n, 40, seed=n)
    published, perturbation = searched(attack, rows), perturbation_of(attack, rows)
    gamma = (rows.mean(axis=0) - attack(rows)) @ perturbation / (perturbation @ perturbation)
    assert gamma == pytest.approx(published, abs=2e-5)  # it halves its steps down to 1e-5
    assert np.allclose(attack(rows), rows.mean(axis=0) - gamma * perturbation)


@of_each_attack
@pytest.mark.parametrize("seed", range(5))
def test_it_goes_as_far_as_the_condition_lets_it_and_no_farther(attack: Attack, seed: int) -> None:
    rows = population(2 + seed, 3, seed)
    mean, forged = rows.mean(axis=0), attack(rows)
    assert (forged - mean) @ perturbation_of(attack, rows) < 0
    assert within(attack, rows, mean + (1 - 1e-9) * (forged - mean))
    for farther in (1e-9, 1e-3, 0.1, 1, 10, 1000):
        assert not within(attack, rows, mean + (1 + farther) * (forged - mean))


@of_each_attack
@pytest.mark.parametrize("scale", [1e-40, 1e-300, 1e300, 3e307])
def test_values_whose_squares_overflow_or_vanish_change_nothing(attack: Attack, scale: float) -> None:
    rows = population(7, 5)
    kind = np.float32 if scale == 1e-40 else np.float64
    expected = attack(rows)
    assert np.allclose(
        attack((rows * scale).astype(kind)) / scale, expected, rtol=1e-5, atol=1e-4 if kind == np.float32 else 1e-12
    )


@of_each_attack
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_what_would_be_beyond_the_range_is_at_its_end(attack: Attack, kind: type) -> None:
    largest = np.finfo(kind).max
    rows = np.array([[largest, 1.0], [-largest, 0.0], [-largest, 2.0], [-largest, 0.0]], kind)
    assert np.isfinite(attack(rows)).all()
    assert MinSum(bound="max")(rows[:, :1]).tolist() == [-largest]  # 1.5 times it below the mean, which is at -0.5 times it


@of_each_attack
@pytest.mark.parametrize(
    "rows",
    [
        pytest.param([[1.5, -2.0, 0.1]], id="one row"),
        pytest.param([[1.5, -2.0, 0.1]] * 5, id="equal rows"),
        pytest.param([[0.1, 0.7, 0.3]] * 3, id="equal rows that are not their rounded mean"),
        pytest.param([[0.0, 0.0]] * 3, id="zeros"),
        pytest.param([[]] * 3, id="no columns"),
    ],
)
def test_rows_without_a_spread_leave_the_mean(attack: Attack, rows: list[list[float]]) -> None:
    assert attack(np.array(rows, np.float32)).tolist() == np.array(rows[0], np.float32).tolist()
    assert np.allclose(attack(np.array(rows)), rows[0], rtol=1e-14)


@pytest.mark.parametrize("attack", [attack for attack in ATTACKS if attack.perturbation != "std"], ids=repr)
def test_without_a_mean_to_go_away_from_it_sends_the_mean(attack: Attack) -> None:
    assert attack(np.array([[1.0, 2.0], [-1.0, -2.0]])).tolist() == [0.0, 0.0]


@of_each_attack
def test_a_mean_that_is_nearly_0_takes_no_row_beyond_the_condition(attack: Attack) -> None:
    for mean in (3e-162, 1e-161, 1e-150, 1e-140, 1e-100):
        rows = np.array([[1.0, mean], [-1.0, mean]])
        forged = attack(rows)
        assert within(attack, rows, rows.mean(axis=0) + (1 - 1e-9) * (forged - rows.mean(axis=0)))


@of_each_attack
def test_rows_that_are_not_finite_do_not_count(attack: Attack) -> None:
    rows = population(6, 4).astype(np.float32)
    with_others = np.insert(rows, [0, 3], [[np.nan, 1, 1, 1], [1, np.inf, 1, -np.inf]], axis=0)
    assert attack(with_others).tobytes() == attack(rows).tobytes()
    assert np.isnan(attack(with_others[:1])[0])


@of_each_attack
def test_neither_threads_nor_blocks_of_columns_change_a_bit(attack: Attack, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = population(5, 300_001).astype(np.float32)
    forged = []
    for count in (1, 3):
        monkeypatch.setattr(columns, "available_cores", lambda count=count: count)
        forged.append(attack(rows))
    assert forged[0].tobytes() == forged[1].tobytes()
    padded = np.zeros((5, 300_100), np.float32)
    padded[:, :300_001] = rows
    assert attack(padded[:, :300_001]).tobytes() == forged[0].tobytes()
    few = attack(rows[:, :20_000])  # more than two blocks of columns
    assert np.allclose(few, attack(rows[:, :20_000][:, ::-1])[::-1], rtol=1e-5, atol=1e-6)


@of_each_attack
def test_it_takes_tensors_and_lists_of_vectors(attack: Attack) -> None:
    rows = population(4, 6).astype(np.float32)
    expected = attack(rows, num_corrupted=3)
    assert torch.equal(attack(torch.from_numpy(rows), num_corrupted=3), torch.from_numpy(expected))
    assert np.array_equal(attack(list(rows)), expected)


@pytest.mark.parametrize("name", ["min_max", "min_sum"])
def test_a_run_under_it_ends_with_the_same_weights_on_any_number_of_ranks(
    tiny_run: Callable[..., RunConfig],
    weights_of: Callable[[Path], dict[str, torch.Tensor]],
    same_weights: Callable[..., bool],
    name: str,
) -> None:
    def trained(num_ranks: int, num_byzantine: int = 3) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
        attack = {"name": name, "num_byzantine": num_byzantine}
        config = tiny_run(attack=attack, aggregation={"rule": "trimmed_mean", "num_corrupted": 3}, run={"steps": 20})
        directory, summary = simulate(config, num_ranks=num_ranks, overwrite=True)
        return weights_of(directory.path), summary

    weights, summary = trained(2)
    assert (summary["steps"], summary["attack"], summary["corrupted_files_max"]) == (20, name, 3)
    assert np.isfinite(summary["train_loss"])
    assert same_weights(weights, trained(6)[0])
    assert not same_weights(weights, trained(2, num_byzantine=0)[0])
