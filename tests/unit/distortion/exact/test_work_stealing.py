"""Threads that share a search: nothing is lost, nothing is done twice, and every way of ending ends them all."""

import math
import os
import signal
import threading
import time
from collections import defaultdict
from itertools import count

import pytest

from byzshield.distortion import corrupted_files
from byzshield.distortion.exact import kernel, work_stealing
from byzshield.distortion.exact.graph import graph_of, root
from byzshield.distortion.exact.work_stealing import OutOfTime, WorkStealingSearch, split_off
from byzshield.placement import mols, ramanujan2

ASSIGNMENT = ramanujan2(m=5, replication=5)
GRAPH = graph_of(ASSIGNMENT)


def nodes_of(part, target):
    outcome, visited = kernel.advance(GRAPH, part, target, 100_000_000)
    assert outcome == kernel.EXHAUSTED
    return visited


def test_splitting_branches_off_loses_none_and_repeats_none():
    whole = nodes_of(root(GRAPH, 8), 8)
    parts = [root(GRAPH, 8)]
    visited = split = 0
    while parts:
        part = parts.pop(0)
        outcome, step = kernel.advance(GRAPH, part, 8, 300)
        visited += step
        if outcome == kernel.PAUSED:
            branch = split_off(GRAPH, part)
            split += branch is not None
            parts += [part] if branch is None else [branch, part]
    assert visited == whole
    assert split > 50


def test_a_part_with_one_way_left_has_no_branch_to_give():
    part = root(GRAPH, 8)
    assert split_off(GRAPH, part) is None
    kernel.advance(GRAPH, part, 8, 3)
    while split_off(GRAPH, part) is not None:
        pass
    assert kernel.first_open(part) == -1


@pytest.mark.parametrize("num_threads", [1, 2, 4])
def test_one_part_is_shared_by_all_threads(num_threads, monkeypatch):
    monkeypatch.setattr(work_stealing, "available_cores", lambda: num_threads)
    monkeypatch.setattr(work_stealing, "MOST_NODES", 200)
    whole = nodes_of(root(GRAPH, 9), 10)
    visited = defaultdict(int)
    advance = kernel.advance

    def spy(graph, part, target, budget):
        outcome, step = advance(graph, part, target, budget)
        visited[threading.get_ident()] += step
        return outcome, step

    monkeypatch.setattr(kernel, "advance", spy)
    assert WorkStealingSearch(GRAPH, [root(GRAPH, 9)], 10, math.inf).search() is None
    assert sum(visited.values()) == whole
    assert 1 <= len(visited) <= num_threads
    assert (len(visited) > 1) == (num_threads > 1)


@pytest.mark.parametrize("num_threads", [1, 2, 4])
def test_a_set_that_reaches_the_target_is_found_wherever_it_lies(num_threads, monkeypatch):
    monkeypatch.setattr(work_stealing, "available_cores", lambda: num_threads)
    monkeypatch.setattr(work_stealing, "MOST_NODES", 200)
    found = WorkStealingSearch(GRAPH, [root(GRAPH, 9)], 9, math.inf).search()
    assert found == tuple(sorted(set(found)))
    assert len(found) == 9
    assert len(corrupted_files(ASSIGNMENT, found)) >= 9


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


def test_a_turn_is_as_long_as_the_clock_says_however_long_a_node_takes(monkeypatch):
    monkeypatch.setattr(work_stealing, "available_cores", lambda: 1)
    turns, now = [], [0.0]

    def slow(graph, part, target, budget):
        turns.append(budget)
        now[0] += budget * 1e-3
        return (kernel.PAUSED, budget) if now[0] < 20 else (kernel.EXHAUSTED, budget)

    monkeypatch.setattr(kernel, "advance", slow)
    monkeypatch.setattr(work_stealing.time, "monotonic", lambda: now[0])
    WorkStealingSearch(GRAPH, [root(GRAPH, 9)], 10, math.inf).search()
    assert max(turns[5:]) * 1e-3 <= 2 * work_stealing.SECONDS_PER_TURN
    assert min(turns[5:]) * 1e-3 >= work_stealing.SECONDS_PER_TURN / 4


@pytest.mark.parametrize("num_threads", [1, 3])
@pytest.mark.parametrize("failure", [RuntimeError, KeyboardInterrupt])
def test_a_failure_in_one_thread_ends_the_others_and_is_raised(failure, num_threads, monkeypatch):
    monkeypatch.setattr(work_stealing, "available_cores", lambda: num_threads)
    monkeypatch.setattr(work_stealing, "MOST_NODES", 200)
    graph = graph_of(mols(load=11, replication=7))  # takes far longer than any test, unless all threads are told to end
    advance, turns = kernel.advance, count()

    def broken(*arguments):
        if next(turns) == 20:
            raise failure("broken")
        return advance(*arguments)

    monkeypatch.setattr(kernel, "advance", broken)
    before = threading.active_count()
    with pytest.raises(failure, match="broken"):
        WorkStealingSearch(graph, [root(graph, 14)], 12, math.inf).search()
    assert threading.active_count() == before


def test_ctrl_c_while_the_threads_work_ends_them(monkeypatch):
    monkeypatch.setattr(work_stealing, "available_cores", lambda: 3)
    graph = graph_of(mols(load=11, replication=7))
    advance, turns = kernel.advance, count()

    def interrupting(*arguments):
        if next(turns) == 20:
            os.kill(os.getpid(), signal.SIGINT)  # Python's handler runs in the main thread, which waits for the others
        return advance(*arguments)

    monkeypatch.setattr(kernel, "advance", interrupting)
    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        WorkStealingSearch(graph, [root(graph, 14)], 12, math.inf).search()
    assert threading.active_count() == before
