"""Up to s wrong rows are located, wherever they stand, whatever their size; and what is recovered without them."""

import numpy as np
import pytest

from byzshield.arrays import Complex128, Float32
from byzshield.coding import CyclicCode, Decoder

SIZES = [(3, 1), (5, 2), (9, 3), (15, 2), (15, 5), (25, 5), (44, 10), (45, 5), (45, 10), (45, 15)]
DIMENSION = 50


def honest(code: CyclicCode, seed: int = 0) -> tuple[Complex128, Float32]:
    gradients = np.random.default_rng(seed).standard_normal((code.num_workers, DIMENSION)).astype(np.float32)
    return code.matrix @ gradients, gradients


def located(code: CyclicCode, rows: Complex128, missing: frozenset[int] = frozenset()) -> tuple[int, ...] | None:
    projected = rows @ np.random.default_rng(9).standard_normal(DIMENSION)
    present = [worker for worker in range(code.num_workers) if worker not in missing]
    return Decoder(code).locate(projected, present, size=float(np.median(np.linalg.norm(rows[present], axis=1))))


def places(code: CyclicCode, count: int, kind: str, rng: np.random.Generator) -> list[int]:
    if kind == "adjacent":
        return sorted(((rng.integers(code.num_workers) + np.arange(count)) % code.num_workers).tolist())
    return sorted(rng.choice(code.num_workers, count, replace=False).tolist())


@pytest.mark.parametrize(("num_workers", "num_errors"), SIZES)
@pytest.mark.parametrize("kind", ["adjacent", "anywhere"])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e5])
def test_any_number_of_liars_up_to_s_is_located_and_the_sum_recovered(
    num_workers: int, num_errors: int, kind: str, scale: float
) -> None:
    code = CyclicCode(num_workers=num_workers, num_errors=num_errors)
    rows, gradients = honest(code)
    rng = np.random.default_rng(num_workers)
    for count in {0, 1, num_errors}:
        wrong = places(code, count, kind, rng)
        forged = rows.copy()
        forged[wrong] += scale * rng.standard_normal((count, DIMENSION))
        assert located(code, forged) == tuple(wrong)
        right = [worker for worker in range(num_workers) if worker not in wrong]
        total = gradients.sum(axis=0, dtype=np.float64)
        error = np.linalg.norm(code.weights(right) @ forged[right] - total) / np.linalg.norm(total)
        assert error < 1e-11


def test_equal_lies_and_reversed_rows_are_located() -> None:
    code = CyclicCode(num_workers=15, num_errors=5)
    rows, _ = honest(code)
    for lie in (-100 * rows, np.full_like(rows, 7), np.zeros_like(rows), np.roll(rows, 1, axis=0)):
        forged = rows.copy()
        forged[2:7] = lie[2:7]
        assert located(code, forged) == (2, 3, 4, 5, 6)


@pytest.mark.parametrize("largest", [1e6, 1e100, 1e150])
def test_a_liar_of_enormous_size_does_not_hide_a_modest_one_beside_it(largest: float) -> None:
    code = CyclicCode(num_workers=45, num_errors=10)
    rows, _ = honest(code)
    forged = rows.copy()
    forged[10:20] += np.geomspace(largest, 1e-3, 10)[:, None]
    assert located(code, forged) == tuple(range(10, 20))


@pytest.mark.parametrize(("num_missing", "num_wrong"), [(10, 0), (6, 2), (4, 3), (1, 4), (5, 2)])
def test_a_missing_row_costs_half_of_a_wrong_one(num_missing: int, num_wrong: int) -> None:
    code = CyclicCode(num_workers=15, num_errors=5)
    rows, _ = honest(code)
    rng = np.random.default_rng(num_missing)
    for _ in range(10):
        chosen = rng.permutation(15)[: num_missing + num_wrong].tolist()
        missing, wrong = frozenset(chosen[:num_missing]), sorted(chosen[num_missing:])
        forged = rows.copy()
        forged[wrong] -= 3
        forged[list(missing)] = 1e9
        assert located(code, forged, missing) == tuple(wrong)


def test_what_no_s_liars_explain_is_not_decoded() -> None:
    code = CyclicCode(num_workers=15, num_errors=3)
    rows, _ = honest(code)
    forged = rows.copy()
    forged[[0, 3, 7, 9, 12]] += np.random.default_rng(3).standard_normal((5, DIMENSION))
    assert located(code, forged) is None


def test_rows_of_zeros_are_right() -> None:
    code = CyclicCode(num_workers=5, num_errors=1)
    assert located(code, np.zeros((5, DIMENSION), dtype=np.complex128)) == ()


def test_what_is_not_seen_does_more_harm_the_more_workers_and_liars_there_are() -> None:
    harm = [Decoder(CyclicCode(num_workers=size, num_errors=s)).unseen_harm for size, s in [(3, 1), (15, 5), (45, 5), (45, 10)]]
    assert np.allclose(np.log10(harm), [-12, -10, -6, -3], atol=1)


def test_a_lie_below_the_tolerance_does_no_harm() -> None:
    code = CyclicCode(num_workers=15, num_errors=5)
    rows, gradients = honest(code)
    forged = rows.copy()
    forged[0:5] += 1e-14
    wrong = located(code, forged)
    assert wrong is not None
    right = [worker for worker in range(15) if worker not in wrong]
    assert np.allclose(code.weights(right) @ forged[right], gradients.sum(axis=0, dtype=np.float64), atol=1e-10)
