"""Any number of threads gives the same bits, memory stays small, and nothing heavy is loaded or compiled without need."""

import subprocess
import sys
import tracemalloc

import numpy as np
import pytest

from byzshield.aggregation import AGGREGATORS, NNM, PRE_AGGREGATORS, Krum, TrimmedMean
from byzshield.aggregation.kernels import columns, cpu

COLUMNS = 2 * cpu.PANEL + 4321


@pytest.fixture(scope="module")
def long_rows():
    x = np.random.default_rng(0).standard_normal((11, COLUMNS), dtype=np.float32)
    x[:2] *= 100
    return x


@pytest.mark.parametrize("column", [0, cpu.PANEL - 1, cpu.PANEL, COLUMNS - 1])
def test_every_column_counts_in_the_distances(column):
    x = np.zeros((5, COLUMNS), np.float32)
    x[:, column] = [9, 4, 5, 7, 90]
    assert Krum(num_corrupted=1)(x)[column] == 5  # scores 20, 10, 5, 8, ...; were it left out, row 0 would win


@pytest.mark.parametrize("name", sorted(AGGREGATORS.names()) + sorted(PRE_AGGREGATORS.names()))
def test_the_number_of_threads_does_not_change_a_bit(name, long_rows, monkeypatch):
    kind = AGGREGATORS if name in AGGREGATORS.names() else PRE_AGGREGATORS
    results = []
    for count in (1, 2, 5):
        monkeypatch.setattr(columns, "available_cores", lambda count=count: count)
        results.append(kind.get(name)(num_corrupted=2)(long_rows))
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], results[2])


def test_pieces_cover_the_columns_once_and_do_not_split_a_unit(monkeypatch):
    monkeypatch.setattr(columns, "available_cores", lambda: 3)
    for stop in (1, 255, 256, 257, 5000, 100_000):
        pieces = []

        def note(first, last, pieces=pieces):
            pieces.append((first, last))

        columns.over_columns(note, num_rows=10_000, num_columns=stop, unit=256)
        pieces.sort()
        assert [first for first, _ in pieces] == [0, *(last for _, last in pieces[:-1])]
        assert pieces[-1][1] == stop
        assert all(first % 256 == 0 for first, _ in pieces)


@pytest.mark.parametrize("name", [name for name, rule in AGGREGATORS.items() if rule.coordinate_wise])
def test_a_coordinate_wise_rule_needs_little_memory_above_its_result(name):
    x = np.ones((9, 3_000_000), np.float32)
    rule = AGGREGATORS.get(name)(num_corrupted=2)
    rule(x[:, :1000])
    tracemalloc.start()
    result = rule(x)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak - result.nbytes < 16 * 2**20


def test_mixing_needs_no_array_of_size_n_n_d():
    x = np.ones((20, 200_000), np.float32)
    NNM(num_corrupted=3)(x[:, :1000])
    tracemalloc.start()
    result = NNM(num_corrupted=3)(x)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak - result.nbytes < 8 * 2**20


@pytest.mark.parametrize("name", ["median", "multi_krum"])
def test_a_long_result_takes_the_memory_of_one_that_nobody_has_any_more(name):
    x = np.random.default_rng(0).standard_normal((4, cpu.LEAST_KEPT // 4), dtype=np.float32)
    rule = AGGREGATORS.get(name)(num_corrupted=0)
    results = [rule(x), rule(-x)]
    assert not np.shares_memory(*results)
    np.testing.assert_array_equal(results[1], -results[0])
    addresses = {result.ctypes.data for result in results}
    del results
    assert {result.ctypes.data for result in (rule(x), rule(x))} == addresses


def test_importing_the_package_and_the_mean_load_neither_numba_nor_torch():
    program = (
        "import sys, numpy as np; from byzshield.aggregation import AGGREGATORS, Mean, Pipeline, describe;"
        "[describe(name) for name in AGGREGATORS.names()];"
        "Pipeline(Mean())(np.ones((4, 300000), np.float32));"
        "assert not {'numba', 'torch', 'scipy'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_compiled_code_is_kept_so_that_a_fresh_process_starts_soon():
    program = (
        "import time, numpy as np; from byzshield.aggregation import TrimmedMean; start = time.process_time();"
        "TrimmedMean(num_corrupted=1)(np.ones((5, 9), np.float32)); print(time.process_time() - start)"
    )
    TrimmedMean(num_corrupted=1)(np.ones((5, 9), np.float32))  # compiles, if nobody has done so
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=True)
    assert float(done.stdout) < 3.0
