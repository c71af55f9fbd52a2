"""Rounds with detection: all votes are waited for, proven Byzantine workers have none, and deadlines still end a round."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from event_driven_server import TIMEOUT, Peers, gradient, make_server, requests

from byzshield.config import RunConfig
from byzshield.placement import aspis
from byzshield.runtime import simulate
from byzshield.training import ParameterServer
from byzshield.voting import Detection
from byzshield.wire import Message

TRUE, FALSE = gradient(1, 2, 3), gradient(-9, 2, 3)
FOUR = aspis(num_workers=4, replication=3)  # files {0, 1, 2}, {0, 1, 3}, {0, 2, 3}, {1, 2, 3}
FIVE = aspis(num_workers=5, replication=3)


def opened(assignment=FIVE, *, bound: int, **options: object) -> Peers:
    server = make_server(assignment, detection=Detection(bound), **options)
    server.open_round(0.0)
    return Peers(server)


def everybody_votes(peers: Peers, liars: set[int], *, silent: frozenset[int] = frozenset(), assignment=FIVE) -> list:
    asked = []
    for file, workers in enumerate(assignment.workers_of.tolist()):
        for worker in workers:
            if worker not in silent:
                asked += peers.vote(worker, file, FALSE if worker in liars else TRUE)
    return asked


def expire_votes(server: ParameterServer) -> list[Message]:
    """Lets deadlines pass until the files are decided; returns what the server then sends."""
    while True:
        deadline = server.next_deadline()
        assert deadline is not None
        assert deadline <= TIMEOUT
        if sent := server.tick(deadline):
            return sent


def minority(server: ParameterServer) -> dict[str, int]:
    return {worker: causes["minority"] for worker, causes in server.blame.report().items() if causes["minority"]}


def test_nothing_is_decided_before_the_last_vote_is_there() -> None:
    peers = opened(FOUR, bound=1)
    assert everybody_votes(peers, set(), silent=frozenset({3}), assignment=FOUR) == []
    assert [peers.vote(3, file, TRUE) for file in (1, 2)] == [[], []]
    assert len(peers.vote(3, 3, TRUE)) == 4


def test_two_liars_of_five_are_discarded_and_the_files_of_which_they_have_a_majority_are_right() -> None:
    peers = opened(bound=2)
    asked = everybody_votes(peers, {0, 1})
    assert {file for _, file, _ in asked} == set(range(10))
    assert not {worker for worker, _, _ in asked} & {0, 1}
    for worker, file, _ in asked:
        peers.pay(worker, file, TRUE)
    outcome = peers.server.close_round(peers.server.aggregate())
    assert (outcome.discarded, outcome.undecided) == ((0, 1), ())
    assert peers.server.state.model.parameter_vector().tolist() == [-1, -2, -3]
    assert minority(peers.server) == {"0": 6, "1": 6}


def test_without_detection_the_same_two_liars_win_three_files() -> None:
    server = make_server(FIVE)
    server.open_round(0.0)
    asked = everybody_votes(Peers(server), {0, 1})
    assert len([file for worker, file, _ in asked if worker in {0, 1}]) == 3


def test_a_silent_worker_delays_the_decision_until_the_deadline_and_is_blamed() -> None:
    peers = opened(bound=2)
    assert everybody_votes(peers, {0}, silent=frozenset({1})) == []
    asked = requests(expire_votes(peers.server))
    assert len(asked) == 7  # the files {0, 1, x} have one true copy of the two needed, since only 0 is discarded
    assert peers.server.blame.count(1, "timeout") == 1
    assert minority(peers.server) == {"0": 3}


def test_a_late_vote_is_counted_against_its_worker_and_changes_nothing() -> None:
    peers = opened(bound=2)
    everybody_votes(peers, set(), silent=frozenset({1}))
    expire_votes(peers.server)
    assert peers.vote(1, 0, FALSE) == []
    assert minority(peers.server) == {"1": 1}


def test_a_lost_rank_is_not_waited_for() -> None:
    peers = opened(bound=2)
    assert everybody_votes(peers, set(), silent=frozenset({4})) == []
    assert len(peers.server.lose(5, 1.0)) == 10


def test_the_full_exchange_detects_as_well() -> None:
    peers = opened(bound=2, exchange="full")
    for file, workers in enumerate(FIVE.workers_of.tolist()):
        for worker in workers:
            peers.pay(worker, file, FALSE if worker in {0, 1} else TRUE)
    assert peers.server.round_done
    outcome = peers.server.close_round(peers.server.aggregate())
    assert outcome.discarded == (0, 1)
    assert peers.server.state.model.parameter_vector().tolist() == [-1, -2, -3]


def test_a_search_that_is_cut_short_is_said_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    server = make_server(FIVE, detection=Detection(2, budget=0))
    server.open_round(0.0)
    everybody_votes(Peers(server), {0, 1})
    assert "cut short" in caplog.text
    assert server.round_done is False


STEINER: dict[str, dict[str, Any]] = {
    "data": {"batch_size": 70},
    "placement": {"scheme": "steiner", "permute": True},
    "vote": {"name": "aspis", "window": 4},
}


@pytest.mark.parametrize("attack", ["alie", "reversed_gradient"])
@pytest.mark.parametrize("files", ["majority", "disagreement"])
def test_the_bits_of_workers_that_change_places_do_not_depend_on_the_number_of_ranks(
    tiny_run: Callable[..., RunConfig],
    weights_of: Callable[[Path], dict[str, torch.Tensor]],
    same_weights: Callable[..., bool],
    attack: str,
    files: str,
) -> None:
    sections = {**STEINER, "attack": {"name": attack, "num_byzantine": 4, "selection": "first", "files": files}}
    one, in_one = simulate(tiny_run(run={"name": "one", "steps": 3}, **sections))
    other, in_other = simulate(tiny_run(run={"name": "other", "steps": 3}, **sections), num_ranks=5)
    assert same_weights(weights_of(one.path), weights_of(other.path))
    assert in_one["corrupted_files_max"] == in_other["corrupted_files_max"] > 0


def test_whoever_forges_only_where_it_wins_is_found_by_the_places_that_change(tiny_run: Callable[..., RunConfig]) -> None:
    # Two workers win one file against one other worker a step: either side may be the liars, until there are three others.
    attack = {"name": "reversed_gradient", "num_byzantine": 2, "selection": "first", "files": "majority"}
    found = {}
    for permute in (False, True):
        sections = {**STEINER, "placement": {"scheme": "steiner", "permute": permute}, "attack": attack}
        directory, _ = simulate(tiny_run(run={"name": f"permute_{permute}"}, **sections))
        lines = [json.loads(line) for line in directory.metrics.read_text().splitlines()]
        found[permute] = [line["discarded_workers"] for line in lines]
    assert found[False] == [[]] * 4
    assert found[True] == [[], [], [0, 1], [0, 1]]
