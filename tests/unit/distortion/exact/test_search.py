"""What the search promises beyond the number: honesty under a time limit, the same witness everywhere, Ctrl-C."""

import os
import signal
import subprocess
import sys
import threading
import time
from math import comb

import numpy as np
import pytest

from byzshield.distortion import SearchInterrupted, corrupted_files, worst_case
from byzshield.distortion.exact import annealing, work_stealing
from byzshield.distortion.exact import search as exact_search
from byzshield.distortion.exact.annealing import good_set
from byzshield.distortion.exact.graph import graph_of
from byzshield.errors import ParameterError
from byzshield.placement import mols, ramanujan2

LARGE = mols(load=11, replication=7)  # K = 77; q = 14 takes far longer than any test


def test_a_time_limit_gives_a_witness_and_a_proved_bound_never_a_guess():
    worst_case(mols(load=7, replication=5), num_byzantine=5, use_cache=False)  # compiles
    start = time.monotonic()
    result = worst_case(LARGE, num_byzantine=14, time_limit=0.5)
    assert time.monotonic() - start < 5
    assert not result.exact
    assert len(corrupted_files(LARGE, result.witness)) == result.c_max
    assert len(set(result.witness)) == 14
    assert result.c_max < result.upper_bound <= LARGE.num_files


@pytest.mark.parametrize("time_limit", [1e-9, 0.01, 0.05, 0.2])
def test_however_short_the_limit_the_interval_holds_the_truth(time_limit):
    result = worst_case(mols(load=7, replication=5), num_byzantine=12, time_limit=time_limit, use_cache=False)
    assert result.c_max <= 16 <= result.upper_bound
    assert result.exact == (result.c_max == result.upper_bound)


def test_annealing_ends_with_the_run_in_which_the_deadline_passes(monkeypatch):
    runs = []
    monkeypatch.setattr(annealing, "anneal", lambda *_: runs.append(1) or 0)
    graph = graph_of(mols(load=5, replication=3))
    annealing.good_set(graph, 3, 25, deadline=time.monotonic() - 1)
    assert len(runs) == 1


def test_a_cut_search_is_not_kept():
    worst_case(LARGE, num_byzantine=14, time_limit=0.1)
    longer = worst_case(LARGE, num_byzantine=14, time_limit=0.1)
    assert not longer.exact


@pytest.mark.parametrize("time_limit", [0, -1, float("nan")])
def test_a_limit_that_is_not_positive_is_refused(time_limit):
    with pytest.raises(ParameterError, match="positive"):
        worst_case(LARGE, num_byzantine=14, time_limit=time_limit)


def test_ctrl_c_leaves_what_is_known():
    worst_case(mols(load=7, replication=5), num_byzantine=5, use_cache=False)  # compiles
    timer = threading.Timer(1.5, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(SearchInterrupted, match=r"c_max\(14\)") as caught:
        worst_case(LARGE, num_byzantine=14, use_cache=False)
    timer.join()
    known = caught.value.known
    assert len(corrupted_files(LARGE, known.witness)) == known.c_max > 0
    assert known.c_max < known.upper_bound < LARGE.num_files


def test_threads_and_symmetry_do_not_change_the_witness(monkeypatch):
    assignment = ramanujan2(m=5, replication=5)
    identity = np.arange(25, dtype=np.int16)[None, :]
    for num_byzantine in (7, 9, 10):
        usual = worst_case(assignment, num_byzantine=num_byzantine, use_cache=False)
        assert comb(25, num_byzantine) > 50_000
        with monkeypatch.context() as patch:
            patch.setattr(work_stealing, "available_cores", lambda: 1)
            assert worst_case(assignment, num_byzantine=num_byzantine, use_cache=False) == usual
            patch.setattr(work_stealing, "available_cores", lambda: 5)
            assert worst_case(assignment, num_byzantine=num_byzantine, use_cache=False) == usual
            patch.setattr(exact_search, "automorphisms", lambda *_: identity)
            assert worst_case(assignment, num_byzantine=num_byzantine, use_cache=False) == usual


@pytest.mark.parametrize("num_byzantine", [5, 6, 7])
def test_a_poor_start_is_mended(num_byzantine, monkeypatch):
    assignment = mols(load=5, replication=3)
    expected, _ = exact_search.search(assignment, num_byzantine, None, 25)
    monkeypatch.setattr(exact_search, "good_set", lambda *_: (0, tuple(range(num_byzantine))))
    result, canonical = exact_search.search(assignment, num_byzantine, None, 25)
    assert canonical
    assert result == expected


def test_a_signal_while_the_workers_are_annealed_is_no_other_error():
    graph = graph_of(LARGE)
    good_set(graph, 14, 0)  # compiles

    def interrupt(*_):
        raise KeyboardInterrupt

    def anneal_for(seconds):
        signal.setitimer(signal.ITIMER_REAL, seconds)
        while True:
            good_set(graph, 14, 121)

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        for delay in np.linspace(0.005, 0.1, 10):
            with pytest.raises(KeyboardInterrupt):
                anneal_for(delay)
    finally:
        signal.signal(signal.SIGALRM, before)


def test_a_small_case_in_a_fresh_process_imports_no_compiler():
    program = (
        "import sys; from byzshield.placement import mols; from byzshield.distortion import worst_case;"
        "assert worst_case(mols(load=5, replication=3), num_byzantine=3).c_max == 3;"
        "assert not {'numba', 'matplotlib', 'torch', 'scipy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_the_good_set_is_one_and_is_the_same_every_time():
    assignment = mols(load=7, replication=5)
    graph = graph_of(assignment)
    count, workers = good_set(graph, 12, 49)
    assert good_set(graph, 12, 49) == (count, workers)
    assert len(corrupted_files(assignment, workers)) == count
    assert len(set(workers)) == 12
    assert 14 <= count <= 16  # near the optimum, 16, or the search would have to find it by itself
    assert good_set(graph, 12, 5)[0] >= 5
