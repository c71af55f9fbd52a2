"""Threads that share a search: nothing is lost, nothing is done twice, and every way of ending ends them all."""

import math
import threading
import time

import pytest

from byzshield.distortion.exact import kernel, work_stealing
from byzshield.distortion.exact.graph import graph_of, root
from byzshield.distortion.exact.work_stealing import OutOfTime, WorkStealingSearch
from byzshield.placement import mols, ramanujan2

ASSIGNMENT = ramanujan2(m=5, replication=5)
GRAPH = graph_of(ASSIGNMENT)


def nodes_of(part, target):
    outcome, visited = kernel.advance(GRAPH, part, target, 100_000_000)
    assert outcome == kernel.EXHAUSTED
    return visited


def test_giving_branches_away_loses_none_and_repeats_none():
    whole = nodes_of(root(GRAPH, 8), 8)
    team = WorkStealingSearch(GRAPH, [root(GRAPH, 8)], 8, math.inf)
    visited = shared = 0
    while team._pending:
        part = team._pending.popleft()
        outcome, step = kernel.advance(GRAPH, part, 8, 300)
        visited += step
        if outcome == kernel.PAUSED:
            team._share(part)
            shared += len(team._pending) > 0
            team._pending.append(part)
    assert visited == whole
    assert shared > 50


@pytest.mark.parametrize("num_threads", [1, 2, 4])
def test_one_part_is_shared_by_all_threads(num_threads, monkeypatch):
    monkeypatch.setattr(work_stealing, "available_cores", lambda: num_threads)
    monkeypatch.setattr(work_stealing, "NODES_PER_TURN", 200)
    at_work = set()
    original = WorkStealingSearch._search_part

    def spy(self, part):
        at_work.add(threading.get_ident())
        original(self, part)

    monkeypatch.setattr(WorkStealingSearch, "_search_part", spy)
    assert WorkStealingSearch(GRAPH, [root(GRAPH, 9)], 10, math.inf).search() is None
    assert 1 <= len(at_work) <= num_threads
    assert (len(at_work) > 1) == (num_threads > 1)
    found = WorkStealingSearch(GRAPH, [root(GRAPH, 9)], 9, math.inf).search()
    assert found is not None
    assert len(found) == 9


def test_no_parts_are_searched_at_once():
    assert WorkStealingSearch(GRAPH, [], 1, math.inf).search() is None


@pytest.mark.parametrize("num_threads", [1, 3])
def test_a_deadline_ends_every_thread(num_threads, monkeypatch):
    monkeypatch.setattr(work_stealing, "available_cores", lambda: num_threads)
    graph = graph_of(mols(load=11, replication=7))
    before = threading.active_count()
    with pytest.raises(OutOfTime):
        WorkStealingSearch(graph, [root(graph, 14)], 12, time.monotonic() + 0.2).search()
    assert threading.active_count() == before


@pytest.mark.parametrize("num_threads", [1, 3])
def test_a_failure_in_one_thread_ends_the_others_and_is_raised(num_threads, monkeypatch):
    monkeypatch.setattr(work_stealing, "available_cores", lambda: num_threads)

    def broken(*_):
        raise RuntimeError("broken")

    monkeypatch.setattr(kernel, "advance", broken)
    before = threading.active_count()
    with pytest.raises(RuntimeError, match="broken"):
        WorkStealingSearch(GRAPH, [root(GRAPH, 9)], 10, math.inf).search()
    assert threading.active_count() == before


def test_kernels_compile_where_no_folder_can_be_written(monkeypatch):
    asked = []

    def njit(*, nogil, cache=False):
        asked.append(cache)
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return lambda function: function

    monkeypatch.setattr(kernel.numba, "njit", njit)
    assert kernel.compiled(len) is len
    assert asked == [True, False]
