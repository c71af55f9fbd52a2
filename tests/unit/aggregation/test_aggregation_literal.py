"""The fast rules against slow transcriptions of their definitions, on random rows, rows with ties and every small size."""

from itertools import combinations

import numpy as np
import pytest

from byzshield.aggregation import (
    CAF,
    MDA,
    NNM,
    SMEA,
    Aksel,
    Bulyan,
    BulyanByzShield,
    BulyanOnePass,
    CenteredClipping,
    GeometricMedian,
    Krum,
    MeaMed,
    Median,
    MultiKrum,
    Phocas,
    TrimmedMean,
)
from byzshield.aggregation.rules.mda import least_diameter_subset
from byzshield.errors import TooFewRowsError


def sample(seed, n, d=7, *, tied=False, dtype=np.float64):
    rng = np.random.default_rng(seed)
    return (rng.integers(-3, 4, (n, d)) if tied else rng.standard_normal((n, d))).astype(dtype)


def squared(x):
    return [[float(((a - b) ** 2).sum()) for b in x.astype(np.float64)] for a in x.astype(np.float64)]


def nearest(values, center, kept):
    return sorted(values, key=lambda value: (abs(value - center), value))[:kept]


def krum_order(table, alive, corrupted):
    def score(i):
        return sum(sorted(table[i][j] for j in alive if j != i)[: max(0, len(alive) - corrupted - 2)])

    return sorted(alive, key=lambda i: (score(i), i))


def top_eigenvalue(points):
    return np.linalg.eigvalsh(np.cov(points.T, bias=True).reshape(points.shape[1], -1))[-1]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("n", range(1, 14))
def test_the_coordinate_wise_rules_equal_their_definitions(n, tied, dtype):
    for corrupted in range((n - 1) // 2 + 1):
        x = sample(n, n, 300, tied=tied, dtype=dtype)
        wide = np.sort(x.astype(np.float64), axis=0)
        tolerance = {"rtol": 1e-6 if dtype == np.float32 else 1e-12, "atol": 1e-7 if dtype == np.float32 else 1e-12}
        np.testing.assert_array_equal(Median(num_corrupted=corrupted)(x), np.median(wide, axis=0).astype(dtype))
        trimmed = wide[corrupted : n - corrupted].mean(axis=0)
        np.testing.assert_allclose(TrimmedMean(num_corrupted=corrupted)(x), trimmed, **tolerance)
        about_median = [np.mean(nearest(column, np.median(column), n - corrupted)) for column in wide.T]
        np.testing.assert_allclose(MeaMed(num_corrupted=corrupted)(x), about_median, **tolerance)
        if not tied:  # a tie about a center that is itself rounded may go either way
            about_trimmed = [
                np.mean(nearest(column, center, n - corrupted)) for column, center in zip(wide.T, trimmed, strict=True)
            ]
            np.testing.assert_allclose(Phocas(num_corrupted=corrupted)(x), about_trimmed, **tolerance)


@pytest.mark.parametrize("seed", range(60))
def test_krum_and_multi_krum_equal_their_definitions(seed):
    n = 5 + seed % 9
    corrupted = (n - 3) // 2 - seed % 2
    x = sample(seed, n, tied=seed % 3 == 0)
    order = krum_order(squared(x), list(range(n)), corrupted)
    np.testing.assert_array_equal(Krum(num_corrupted=corrupted)(x), x[order[0]])
    np.testing.assert_allclose(MultiKrum(num_corrupted=corrupted)(x), x[order[: n - corrupted - 2]].mean(axis=0), atol=1e-12)


@pytest.mark.parametrize("seed", range(60))
@pytest.mark.parametrize("one_pass", [False, True])
def test_bulyan_equals_its_definition(seed, one_pass):
    corrupted = seed % 3 + 1
    n = 4 * corrupted + 3 + seed % 4
    x = sample(seed, n, tied=seed % 4 == 0)
    table = squared(x)
    alive, picked = list(range(n)), []
    while len(picked) < n - 2 * corrupted:
        picked.append(krum_order(table, alive, corrupted)[0])
        alive.remove(picked[-1])
    if one_pass:
        picked = krum_order(table, list(range(n)), corrupted)[: n - 2 * corrupted]
    expected = [np.mean(nearest(column, np.median(column), n - 4 * corrupted)) for column in x[picked].T]
    rule = BulyanOnePass if one_pass else Bulyan
    np.testing.assert_allclose(rule(num_corrupted=corrupted)(x), expected, atol=1e-12)


def test_scoring_anew_and_scoring_once_pick_different_rows():
    many = [sample(seed, 11) for seed in range(20)]
    assert any(not np.array_equal(Bulyan(num_corrupted=2)(x), BulyanOnePass(num_corrupted=2)(x)) for x in many)


@pytest.mark.parametrize("seed", range(60))
def test_the_published_bulyan_averages_the_central_order_statistics_of_rows_scored_once(seed):
    corrupted = seed % 4
    n = 3 * corrupted + 3 + seed % 5
    x = sample(seed, n, tied=seed % 4 == 0)
    theta = n - corrupted - 2
    ranked = np.sort(x[krum_order(squared(x), list(range(n)), corrupted)[:theta]], axis=0)
    half, width = theta // 2, theta - 2 * corrupted
    central = ranked[half - width // 2 : half + width // 2 + width % 2]  # outwards from the middle
    assert len(central) == width
    np.testing.assert_allclose(BulyanByzShield(num_corrupted=corrupted)(x), central.mean(axis=0), atol=1e-12)


def test_the_published_bulyan_refuses_what_the_published_code_averages_two_values_of():
    rule = BulyanByzShield(num_corrupted=9)
    assert rule(sample(1, 30)).shape == (7,)
    with pytest.raises(TooFewRowsError, match="against 9 corrupted rows needs at least 30 rows; got 25"):
        rule(sample(1, 25))


@pytest.mark.parametrize("seed", range(80))
def test_minimum_diameter_averaging_equals_the_enumeration(seed):
    n = 1 + seed % 10
    corrupted = (n - 1) // 2
    x = sample(seed, n, 1 + seed % 3, tied=seed % 2 == 0)
    table = np.array(squared(x))
    best = min(combinations(range(n), n - corrupted), key=lambda subset: table[np.ix_(subset, subset)].max())
    assert least_diameter_subset(table, n - corrupted) == list(best)
    np.testing.assert_allclose(MDA(num_corrupted=corrupted)(x), x[list(best)].mean(axis=0), atol=1e-12)


@pytest.mark.parametrize("seed", range(40))
def test_smallest_maximum_eigenvalue_averaging_equals_the_enumeration(seed):
    n = 3 + seed % 7
    corrupted = (n - 1) // 2
    x = sample(seed, n, 2 + seed % 5)
    x[:1] += 5.0
    best = min(combinations(range(n), n - corrupted), key=lambda subset: top_eigenvalue(x[list(subset)]))
    np.testing.assert_allclose(SMEA(num_corrupted=corrupted)(x), x[list(best)].mean(axis=0), atol=1e-12)


@pytest.mark.parametrize("seed", range(40))
def test_the_covariance_filter_equals_its_definition_in_d_dimensions(seed):
    n = 3 + seed % 9
    corrupted = (n - 1) // 2
    x = sample(seed, n, 3)
    x[:corrupted] += 9.0
    weights, best, chosen = np.ones(n), np.inf, None
    while chosen is None or weights.sum() > n - 2 * corrupted:
        mean = weights @ x / weights.sum()
        values, vectors = np.linalg.eigh((weights[:, None] * (x - mean)).T @ (x - mean) / weights.sum())
        if values[-1] < best:
            best, chosen = values[-1], mean
        taus = ((x - mean) @ vectors[:, -1]) ** 2
        weights = weights * (1 - taus / taus[weights > 0].max()).clip(0, 1)
        if corrupted == 0:
            break
    np.testing.assert_allclose(CAF(num_corrupted=corrupted)(x), chosen, atol=1e-8)


@pytest.mark.parametrize("seed", range(30))
def test_no_point_nearby_has_a_smaller_sum_of_distances_than_the_geometric_median(seed):
    n = 3 + seed % 11
    x = sample(seed, n, 4)
    x[: (n - 1) // 2] += 10.0 ** (seed % 5)
    median = GeometricMedian(num_corrupted=(n - 1) // 2)(x)

    def total(point):
        return np.linalg.norm(x - point, axis=1).sum()

    rng = np.random.default_rng(seed)
    for length in (1e-3, 1e-1, 1.0):
        for _ in range(50):
            step = rng.standard_normal(4)
            assert total(median) <= total(median + length * step / np.linalg.norm(step)) + 1e-7 * total(median)
    assert total(median) <= min(total(row) for row in x) + 1e-7 * total(median)


@pytest.mark.parametrize("seed", range(20))
def test_nearest_neighbor_mixing_equals_its_definition(seed):
    n = 3 + seed
    corrupted = (n - 1) // 2
    x = sample(seed, n, tied=seed % 2 == 0)
    table = squared(x)
    expected = [x[sorted(range(n), key=lambda j: (j != i, table[i][j], j))[: n - corrupted]].mean(axis=0) for i in range(n)]
    np.testing.assert_allclose(NNM(num_corrupted=corrupted)(x), expected, atol=1e-12)


@pytest.mark.parametrize("seed", range(20))
def test_centered_clipping_equals_its_definition_over_several_steps(seed):
    rule = CenteredClipping(num_corrupted=1, radius=1.5, iterations=1 + seed % 3)
    center = np.zeros(7)
    for step in range(3):
        x = sample(100 * seed + step, 5) + 1
        for _ in range(1 + seed % 3):
            center = center + np.mean([(row - center) * min(1, 1.5 / np.linalg.norm(row - center)) for row in x], axis=0)
        np.testing.assert_allclose(rule(x, step=step), center, atol=1e-12)


@pytest.mark.parametrize("seed", range(20))
def test_aksel_equals_its_definition(seed):
    n = 3 + seed
    x = sample(seed, n)
    distances = np.linalg.norm(x - np.median(x, axis=0), axis=1)
    near = distances <= np.sort(distances)[(n + 1) // 2 - 1]
    np.testing.assert_allclose(Aksel(num_corrupted=1)(x), x[near].mean(axis=0), atol=1e-12)
