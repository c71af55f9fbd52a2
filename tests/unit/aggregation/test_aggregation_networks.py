"""Networks sort, or bring the middle to its place; so does the compiled code, at the edges of tiles."""

import numpy as np
import pytest

from byzshield.aggregation.kernels import cpu
from byzshield.aggregation.kernels.order_statistics import TILE
from byzshield.aggregation.kernels.sorting_networks import selection_network, sorting_network

SIZES = [*range(1, 35), 47, 48, 49, 50, 63, 64, 65, 100, 129]


def run(network, rows):
    values = [*rows]
    for low, high in network:
        values[low], values[high] = np.minimum(values[low], values[high]), np.maximum(values[low], values[high])
    return np.array(values)


def zeros_and_ones(size):
    """[size, many], by column: every number of ones, put together, at every stride, and at random."""
    rng = np.random.default_rng(size)
    ranks = [np.roll(np.arange(size), shift) for shift in range(0, size, max(1, size // 16))]
    ranks += [np.argsort(np.arange(size) % stride, kind="stable") for stride in (2, 3, 4, 8, 16)]
    ranks += [rng.permutation(size) for _ in range(200)]
    return np.array([order < ones for order in ranks for ones in range(size + 1)], dtype=np.int8).T


@pytest.mark.parametrize("size", range(1, 17))
def test_a_network_sorts_all_zeros_and_ones(size):
    # Hence it sorts everything (Knuth, TAOCP volume 3, theorem 5.3.4Z).
    inputs = (np.arange(2**size) >> np.arange(size)[:, None] & 1).astype(np.int8)
    np.testing.assert_array_equal(run(sorting_network(size), inputs), np.sort(inputs, axis=0))


@pytest.mark.parametrize("size", SIZES)
def test_a_long_network_sorts(size):
    inputs = zeros_and_ones(size)
    np.testing.assert_array_equal(run(sorting_network(size), inputs), np.sort(inputs, axis=0))


@pytest.mark.parametrize("size", SIZES)
def test_fewer_steps_bring_the_middle_to_its_place(size):
    inputs = zeros_and_ones(size)
    middle = ((size - 1) // 2, size // 2)
    network = selection_network(size, middle)
    np.testing.assert_array_equal(run(network, inputs)[list(middle)], np.sort(inputs, axis=0)[list(middle)])
    assert len(network) <= len(sorting_network(size)) - (size > 6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("columns", [1, TILE - 1, TILE, TILE + 1, 3 * TILE + 5])
def test_the_compiled_networks_agree_with_numpy(columns, dtype):
    for size in SIZES:
        x = np.random.default_rng(size).standard_normal((size, columns + 3)).astype(dtype)[:, 3:]
        ranked = np.sort(x, axis=0)
        np.testing.assert_array_equal(cpu.combine(x, center="median"), np.median(x, axis=0))
        trim = (size - 1) // 4
        expected = ranked[trim : size - trim].mean(axis=0, dtype=np.float64)
        np.testing.assert_allclose(cpu.combine(x, center="trimmed", trim=trim), expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_not_finite_is_found_wherever_it_is(value, dtype):
    x = np.random.default_rng(0).standard_normal((35, TILE + 5)).astype(dtype)
    for row in range(len(x)):
        for column in (0, 1, TILE - 1, TILE, TILE + 4):
            x[row, column], kept = value, x[row, column]
            with pytest.raises(cpu.NonFiniteFound):
                cpu.combine(x, center="median")
            x[row, column] = kept
    cpu.combine(x, center="median")


@pytest.mark.parametrize("operation", [{"center": "median"}, {"center": "trimmed", "trim": 2}, {"center": "median", "kept": 4}])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_zeros_of_either_sign_in_any_order_give_the_same_bits(operation, dtype):
    rng = np.random.default_rng(1)
    x = np.where(np.arange(7)[:, None] % 2, -0.0, 0.0) * np.ones((7, 50))
    x[:2] = rng.choice([-1.0, 0.0, 1.0], (2, 50))
    x = x.astype(dtype)
    expected = cpu.combine(x, **operation).tobytes()
    for _ in range(20):
        assert cpu.combine(rng.permuted(x, axis=0), **operation).tobytes() == expected
