"""A matrix that arrives block by block gives the same bits as the whole; so does any number of threads; memory stays small."""

import subprocess
import sys
import tracemalloc
from itertools import pairwise

import numpy as np
import pytest

from byzshield.aggregation import AGGREGATORS, NNM, PRE_AGGREGATORS, ColumnStream, Krum, Mean, Median, Pipeline, TrimmedMean
from byzshield.aggregation.kernels import cpu, threads
from byzshield.errors import ParameterError

COLUMNS = 2 * cpu.PANEL + 4321


@pytest.fixture(scope="module")
def long_rows():
    x = np.random.default_rng(0).standard_normal((11, COLUMNS), dtype=np.float32)
    x[:2] *= 100
    return x


def blocks(seed, columns=COLUMNS):
    rng = np.random.default_rng(seed)
    cuts = [0, *sorted(rng.choice(np.arange(1, columns), 9, replace=False).tolist()), columns]
    cuts = sorted({*cuts, 1, 2, columns - 1})
    pairs = list(pairwise(cuts))
    return [pairs[i] for i in rng.permutation(len(pairs))]


@pytest.mark.parametrize("name", sorted(AGGREGATORS.names()))
def test_blocks_in_any_order_give_the_bits_of_the_whole(name, long_rows):
    rule = AGGREGATORS.get(name)
    expected = Pipeline(rule(num_corrupted=2))(long_rows, step=3)
    matrix = np.full_like(long_rows, np.nan)
    stream = ColumnStream(Pipeline(rule(num_corrupted=2)), matrix, step=3)
    for start, stop in blocks(1):
        matrix[:, start:stop] = long_rows[:, start:stop]
        stream.ready(start, stop)
    aggregate = stream.finish()
    np.testing.assert_array_equal(aggregate.vector, expected.vector)
    assert aggregate.non_finite == ()


@pytest.mark.parametrize("name", ["mean", "median", "krum", "cge"])
def test_a_non_finite_value_in_a_late_block_takes_its_row_out_of_all(name, long_rows):
    rule = AGGREGATORS.get(name)(num_corrupted=2)
    matrix = long_rows.copy()
    matrix[5, -1] = np.inf
    stream = ColumnStream(Pipeline(rule), matrix)
    for start, stop in blocks(2):
        stream.ready(start, stop)
    aggregate = stream.finish()
    assert aggregate.non_finite == (5,)
    np.testing.assert_array_equal(aggregate.vector, Pipeline(rule)(matrix).vector)


@pytest.mark.parametrize("column", [0, cpu.PANEL - 1, cpu.PANEL, COLUMNS - 1])
def test_every_column_counts_in_the_distances(column):
    matrix = np.zeros((5, COLUMNS), np.float32)
    matrix[:, column] = [9, 4, 5, 7, 90]
    stream = ColumnStream(Pipeline(Krum(num_corrupted=1)), matrix)
    for start, stop in blocks(3):
        stream.ready(start, stop)
    assert stream.finish().vector[column] == 5  # scores 20, 10, 5, 8, ...; were it left out, row 0 would win


def test_huge_float64_rows_are_streamed_as_they_are_combined():
    matrix = np.random.default_rng(1).standard_normal((7, 1000)) * 1e200
    stream = ColumnStream(Pipeline(Krum(num_corrupted=1)), matrix)
    stream.ready(0, 600)
    stream.ready(600, 1000)
    np.testing.assert_array_equal(stream.finish().vector, Krum(num_corrupted=1)(matrix))


def test_a_stream_with_too_few_rows_is_a_skipped_step():
    stream = ColumnStream(Pipeline(Krum(num_corrupted=1)), np.zeros((4, 10)))
    stream.ready(0, 10)
    assert "needs at least 5 rows" in stream.finish().reason


def test_a_stream_with_a_pre_aggregator_is_the_pipeline():
    matrix = np.random.default_rng(2).standard_normal((7, 50))
    chain = Pipeline(Median(num_corrupted=1), [NNM()])
    stream = ColumnStream(chain, matrix)
    stream.ready(0, 50)
    np.testing.assert_array_equal(stream.finish().vector, chain(matrix).vector)


def test_missing_and_repeated_columns_are_refused():
    stream = ColumnStream(Pipeline(Mean()), np.zeros((3, 10)))
    stream.ready(2, 5)
    for start, stop in [(4, 6), (-1, 2), (8, 11), (6, 6)]:
        with pytest.raises(ParameterError):
            stream.ready(start, stop)
    with pytest.raises(ParameterError, match="7 of 10 columns are missing"):
        stream.finish()


@pytest.mark.parametrize("name", sorted(AGGREGATORS.names()) + sorted(PRE_AGGREGATORS.names()))
def test_the_number_of_threads_does_not_change_a_bit(name, long_rows, monkeypatch):
    kind = AGGREGATORS if name in AGGREGATORS.names() else PRE_AGGREGATORS
    results = []
    for count in (1, 2, 5):
        monkeypatch.setattr(threads, "available_cores", lambda count=count: count)
        results.append(kind.get(name)(num_corrupted=2)(long_rows))
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], results[2])


def test_pieces_cover_the_columns_once_and_do_not_split_a_unit(monkeypatch):
    monkeypatch.setattr(threads, "available_cores", lambda: 3)
    for stop in (1, 255, 256, 257, 5000, 100_000):
        pieces = []

        def note(first, last, pieces=pieces):
            pieces.append((first, last))

        threads.over_columns(note, num_rows=10_000, start=0, stop=stop, unit=256)
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
