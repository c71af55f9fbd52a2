"""Blocks of networks sort, or bring the middle to its place; so does the compiled code, at the edges of blocks and tiles."""

import numpy as np
import pytest

from byzshield.aggregation.kernels import cpu
from byzshield.aggregation.kernels.block import TILE
from byzshield.aggregation.kernels.sorting_networks import NETWORKS, WIDTH, blocks, sorting_network

SIZES = [*range(1, 2 * WIDTH + 3), 47, 48, 49, 50, 63, 64, 65, 100, 129]


def run(table, rows):
    values = [*rows]
    for network, *places in table:
        for low, high in NETWORKS[network][1]:
            a, b = values[places[low]], values[places[high]]
            values[places[low]], values[places[high]] = np.minimum(a, b), np.maximum(a, b)
    return np.array(values)


def zeros_and_ones(size):
    """[size, many], by column: every number of ones, put together, at every stride, and at random."""
    rng = np.random.default_rng(size)
    ranks = [np.roll(np.arange(size), shift) for shift in range(0, size, max(1, size // 16))]
    ranks += [np.argsort(np.arange(size) % stride, kind="stable") for stride in (2, 3, 4, 8, 16)]
    ranks += [rng.permutation(size) for _ in range(200)]
    return np.array([order < ones for order in ranks for ones in range(size + 1)], dtype=np.int8).T


@pytest.mark.parametrize("size", range(1, WIDTH + 1))
def test_a_network_of_one_block_sorts_all_zeros_and_ones(size):
    # Hence it sorts everything (Knuth, TAOCP volume 3, theorem 5.3.4Z).
    inputs = (np.arange(2**size) >> np.arange(size)[:, None] & 1).astype(np.int8)
    np.testing.assert_array_equal(run(blocks(size), inputs), np.sort(inputs, axis=0))
    assert len(blocks(size)) == 1
    assert NETWORKS[blocks(size)[0, 0]] == (size, sorting_network(size))


@pytest.mark.parametrize("size", SIZES)
def test_blocks_sort(size):
    inputs = zeros_and_ones(size)
    np.testing.assert_array_equal(run(blocks(size), inputs), np.sort(inputs, axis=0))


@pytest.mark.parametrize("size", SIZES)
def test_fewer_blocks_bring_the_middle_to_its_place(size):
    inputs = zeros_and_ones(size)
    middle = ((size - 1) // 2, size // 2)
    table = blocks(size, middle)
    np.testing.assert_array_equal(run(table, inputs)[list(middle)], np.sort(inputs, axis=0)[list(middle)])
    assert len(table) <= len(blocks(size))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("columns", [1, TILE - 1, TILE, TILE + 1, 3 * TILE + 5])
def test_the_compiled_blocks_agree_with_numpy(columns, dtype):
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
    x = np.random.default_rng(0).standard_normal((2 * WIDTH + 3, TILE + 5)).astype(dtype)
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
