"""Copies that nobody needs if nobody fails: when their holders are asked to compute them after all, and what that costs."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from event_driven_server import LAYOUT, TIMEOUT, Peers, further_votes, gradient, make_server, requests

from byzshield.config import RunConfig
from byzshield.errors import ParameterError
from byzshield.placement import Assignment, frc, mols
from byzshield.placement.permuted import permuted
from byzshield.runtime import Builder, simulate
from byzshield.runtime.metrics import read_metrics
from byzshield.training import ParameterServer
from byzshield.training.pace import FLOOR, Pace
from byzshield.training.turns import Turns, postponed
from byzshield.training.vote_deadlines import VoteDeadlines
from byzshield.wire import ALL_CHUNKS, messages

Maker = Callable[..., RunConfig]
TRUE = gradient(1, 2, 3)
FALSE = gradient(-9, 2, 3)
ONE_FILE = frc(num_workers=3, replication=3)  # worker 0 votes on request
TWO_FILES = frc(num_workers=6, replication=3)  # so do workers 0 and 3
FIVE_COPIES = frc(num_workers=5, replication=5)  # so do workers 0 and 1


def opened(assignment: Assignment, **options: Any) -> Peers:
    server = make_server(assignment, on_request=True, **options)
    assert further_votes(server.open_round(0.0)) == []
    return Peers(server)


def blamed(server: ParameterServer) -> dict[str, dict[str, int]]:
    """Who was counted for what, without the zeros."""
    return {
        worker: {cause: count for cause, count in causes.items() if count} for worker, causes in server.blame.report().items()
    }


def asked_to_vote(server: ParameterServer) -> list[int]:
    return [requests["votes"] for requests in server.blame.asked().values()]


def wait_for_requests(server: ParameterServer, *, until: float) -> list[tuple[int, int]]:
    """Lets time pass in which nobody says anything; returns the further votes that the server asks for."""
    asked = []
    while (deadline := server.next_deadline()) is not None and deadline <= until:
        asked += further_votes(server.tick(deadline))
    return asked


def close(server: ParameterServer) -> tuple[int, ...]:
    return server.close_round(server.aggregate()).undecided


def test_an_undisturbed_round_asks_for_no_more_than_decides_it() -> None:
    assignment = mols(load=5, replication=3)
    peers = opened(assignment)
    late = postponed(assignment)
    for file, workers in enumerate(assignment.workers_of.tolist()):
        for worker in workers:
            if (worker, file) not in late:
                for provider, _, _ in peers.vote(worker, file, TRUE):
                    peers.pay(provider, file, TRUE)
    assert peers.server.round_done
    assert peers.further == []
    assert sum(asked_to_vote(peers.server)) == 25 * 2


def test_where_all_copies_must_agree_none_is_postponed() -> None:
    arbitrated = permuted(mols(load=5, replication=3).arbitrated(), seed=1)
    assert postponed(arbitrated) == postponed(arbitrated.at(3)) == set()


@pytest.mark.parametrize("exchange", ["full", "coded"])
def test_where_all_votes_count_none_waits_for_a_request(exchange: str) -> None:
    with pytest.raises(ParameterError, match="only in the digest exchange"):
        make_server(ONE_FILE, exchange=exchange, on_request=True)


class TestALie:
    def test_it_costs_one_further_vote(self) -> None:
        peers = opened(ONE_FILE)
        peers.vote(1, 0, FALSE)
        assert peers.further == []
        peers.vote(2, 0, TRUE)
        assert peers.further == [(0, 0)]
        assert asked_to_vote(peers.server) == [1, 1, 1]
        assert peers.vote(0, 0, TRUE) == [(0, 0, ALL_CHUNKS)]
        peers.pay(0, 0, TRUE)
        assert close(peers.server) == ()
        assert blamed(peers.server) == {"1": {"minority": 1}}

    def test_it_wins_with_the_further_vote_of_an_accomplice_as_if_all_had_voted(self) -> None:
        peers = opened(ONE_FILE)
        peers.vote(1, 0, TRUE)
        peers.vote(2, 0, FALSE)
        assert peers.vote(0, 0, FALSE) == [(0, 0, ALL_CHUNKS)]
        peers.pay(0, 0, FALSE)
        assert close(peers.server) == ()
        assert peers.server.state.model.parameter_vector().tolist() == [9, -2, -3]

    def test_as_many_are_asked_as_may_decide_the_file(self) -> None:
        peers = opened(FIVE_COPIES)
        peers.vote(2, 0, TRUE)
        peers.vote(3, 0, FALSE)
        assert peers.further == [(0, 0)]
        peers.vote(4, 0, gradient(5, 5, 5))
        assert peers.further == [(0, 0), (1, 0)]
        peers.vote(0, 0, TRUE)
        assert peers.vote(1, 0, TRUE) == [(0, 0, ALL_CHUNKS)]

    def test_a_file_is_undecided_once_all_have_voted_in_vain(self) -> None:
        peers = opened(ONE_FILE)
        peers.vote(1, 0, FALSE)
        peers.vote(2, 0, TRUE)
        peers.vote(0, 0, gradient(5, 5, 5))
        assert close(peers.server) == (0,)

    def test_a_vote_that_nobody_asked_for_is_malformed_and_does_not_count(self) -> None:
        peers = opened(ONE_FILE)
        assert peers.vote(0, 0, FALSE) == []
        assert blamed(peers.server) == {"0": {"malformed": 1}}
        peers.vote(1, 0, FALSE)
        assert peers.vote(2, 0, TRUE) == []
        assert peers.further == [(0, 0)]

    def test_after_two_lies_others_are_asked_from_the_start_and_after_a_while_no_more(self) -> None:
        peers, asked = opened(ONE_FILE), []
        server = peers.server
        for step in range(1, 40):
            if step > 1:
                asked.append(further_votes(server.open_round(float(step))))
            peers.vote(1, 0, FALSE if step < 3 else TRUE, step=step, now=float(step))
            for worker in (2, 0) if step < 3 or asked[-1] else (2,):
                for provider, _, _ in peers.vote(worker, 0, TRUE, step=step, now=float(step)):
                    peers.pay(provider, 0, TRUE, step=step, now=float(step))
            assert close(server) == ()
        assert asked[0] == []  # in step 2
        assert asked[1] == [(0, 0)]
        assert asked[-1] == []
        assert blamed(server) == {"1": {"minority": 2}}


class TestSilence:
    def with_worker_1_silent(self) -> Peers:
        """Two files of which the first has one vote after a second and the second is complete."""
        peers = opened(TWO_FILES)
        for worker in (2, 4, 5):
            for provider, file, _ in peers.vote(worker, worker // 3, TRUE, now=1.0):
                peers.pay(provider, file, TRUE, now=1.0)
        return peers

    def test_it_costs_one_further_vote_once_the_others_have_voted_and_a_margin_is_over(self) -> None:
        peers = self.with_worker_1_silent()
        server = peers.server
        assert server.next_deadline() == pytest.approx(4 / 3)
        assert wait_for_requests(server, until=4 / 3) == [(0, 0)]
        for provider, _, _ in peers.vote(0, 0, TRUE, now=2.0):
            peers.pay(provider, 0, TRUE, now=2.0)
        assert close(server) == ()
        assert blamed(server) == {}

    def test_who_votes_after_all_is_not_blamed_for_it(self) -> None:
        peers = self.with_worker_1_silent()
        assert wait_for_requests(peers.server, until=4 / 3) == [(0, 0)]
        assert peers.vote(1, 0, TRUE, now=1.5) == [(1, 0, ALL_CHUNKS)]
        peers.pay(1, 0, TRUE, now=1.5)
        assert close(peers.server) == ()
        peers.server.open_round(2.0)
        assert peers.vote(0, 0, TRUE, step=1, now=2.0) == []
        assert blamed(peers.server) == {}

    def test_nobody_is_asked_before_what_a_busy_machine_may_take(self) -> None:
        peers = opened(TWO_FILES)
        for worker in (2, 4, 5):
            peers.vote(worker, worker // 3, TRUE, now=1e-3)
        assert peers.server.next_deadline() == FLOOR

    def test_however_many_of_those_asked_first_are_silent_if_fewer_than_half_of_all_are(self) -> None:
        peers = opened(FIVE_COPIES)
        peers.vote(2, 0, TRUE, now=1.0)
        server = peers.server
        assert wait_for_requests(server, until=2.0) == [(0, 0), (1, 0)]
        peers.vote(0, 0, TRUE, now=2.0)
        assert peers.vote(1, 0, TRUE, now=2.0) == [(0, 0, ALL_CHUNKS)]

    def test_after_two_steps_others_are_asked_from_the_start(self) -> None:
        peers, now = self.with_worker_1_silent(), 0.0
        server = peers.server
        for step in (1, 2):
            if step > 1:
                assert further_votes(server.open_round(now)) == []
                for worker in (2, 4, 5):
                    for provider, file, _ in peers.vote(worker, worker // 3, TRUE, step=step, now=now + 1.0):
                        peers.pay(provider, file, TRUE, step=step, now=now + 1.0)
            assert wait_for_requests(server, until=now + 2.0) == [(0, 0)]
            now += 2.0
            for provider, _, _ in peers.vote(0, 0, TRUE, step=step, now=now):
                peers.pay(provider, 0, TRUE, step=step, now=now)
            assert close(server) == ()
        assert further_votes(server.open_round(now)) == [(0, 0)]

    def test_one_who_was_asked_further_and_is_silent_is_replaced_as_well(self) -> None:
        assignment = frc(num_workers=15, replication=5)  # workers 0 and 1, 5 and 6, 10 and 11 vote on request
        peers = opened(assignment)
        for worker in (3, 4, 7, 8, 9, 12, 13, 14):
            for provider, file, _ in peers.vote(worker, worker // 5, TRUE, now=1.0):
                peers.pay(provider, file, TRUE, now=1.0)
        server = peers.server
        assert wait_for_requests(server, until=1.2) == [(0, 0)]
        assert wait_for_requests(server, until=2.3) == []
        assert wait_for_requests(server, until=2.5) == [(1, 0)]

    def test_a_rank_that_was_asked_for_two_votes_has_the_time_for_two(self) -> None:
        pace = Pace(rank_of=[1, 1, 2, 3, 4], replication=3, ceiling=TIMEOUT)
        turns = Turns(
            spare=[[0, 1]], votes=[0, 0, 1, 1, 1], work={1: 0, 2: 1, 3: 1, 4: 1}, most_work=dict.fromkeys(range(1, 5), 2)
        )
        votes = VoteDeadlines(pace, turns=turns, began=0.0)
        for worker in (2, 3, 4):
            votes.voted(worker, 1.0)
        votes.ask(0, 2.0)
        votes.ask(1, 2.0)
        assert votes.overdue(2 + 4 / 3) == []
        assert votes.overdue(2 + 2 * 4 / 3) == [0, 1]


class TestLosses:
    def test_the_votes_of_a_dead_rank_are_asked_of_others_at_once_and_in_later_steps_from_the_start(self) -> None:
        peers = opened(TWO_FILES)
        server = peers.server
        assert further_votes(server.lose(2, 0.0)) == [(0, 0)]
        for worker in (0, 2, 4, 5):
            for provider, file, _ in peers.vote(worker, worker // 3, TRUE):
                peers.pay(provider, file, TRUE)
        assert close(server) == ()
        assert further_votes(server.open_round(1.0)) == [(0, 0)]
        assert asked_to_vote(server)[:2] == [2, 1]

    def test_nobody_on_the_dead_rank_is_asked(self) -> None:
        server = make_server(TWO_FILES, on_request=True, rank_of=[1, 1, 2, 3, 3, 4])
        server.open_round(0.0)
        assert further_votes(server.lose(1, 0.0)) == []


class TestPayloads:
    def test_when_no_supporter_delivers_what_it_voted_for_another_is_asked_to_vote_and_to_deliver(self) -> None:
        peers = opened(ONE_FILE)
        for worker in (1, 2):
            peers.vote(worker, 0, TRUE)
        assert peers.pay(1, 0, FALSE, chunks=[0]) == [(2, 0, ALL_CHUNKS)]
        assert peers.further == []
        peers.pay(2, 0, FALSE, chunks=[0])
        assert peers.further == [(0, 0)]
        assert not peers.server.round_done
        assert peers.vote(0, 0, TRUE) == [(0, 0, ALL_CHUNKS)]
        peers.pay(0, 0, TRUE)
        assert close(peers.server) == ()

    def test_so_it_is_when_they_are_silent(self) -> None:
        peers = opened(ONE_FILE)
        for worker in (1, 2):
            peers.vote(worker, 0, TRUE)
        server = peers.server
        assert wait_for_requests(server, until=2 * TIMEOUT) == [(0, 0)]
        assert peers.vote(0, 0, TRUE, now=2 * TIMEOUT) == [(0, 0, ALL_CHUNKS)]
        peers.pay(0, 0, TRUE, now=2 * TIMEOUT)
        assert close(server) == ()

    def test_to_be_late_with_one_costs_no_vote_in_later_steps_and_with_a_second_it_does(self) -> None:
        peers, further = opened(ONE_FILE), []
        server = peers.server
        for step, silent in ((1, [1]), (2, [2, 1])):
            now, asked = 100.0 * step, []
            for worker in (1, 2):
                asked += peers.vote(worker, 0, TRUE, step=step, now=now)
            for worker in silent:
                assert asked == [(worker, 0, ALL_CHUNKS)]
                now += TIMEOUT
                tick = server.tick(now)
                asked = requests(tick)
            assert further_votes(tick) == ([] if step == 1 else [(0, 0)])
            peers.pay(2, 0, TRUE, step=step, now=now)
            assert close(server) == ()
            further.append(further_votes(server.open_round(100.0 * (step + 1))))
        assert further == [[], [(0, 0)]]

    def test_a_file_is_given_up_if_that_one_does_not_vote(self) -> None:
        peers = opened(ONE_FILE)
        for worker in (1, 2):
            peers.vote(worker, 0, TRUE)
        for worker in (1, 2):
            peers.pay(worker, 0, FALSE, chunks=[0])
        assert peers.further == [(0, 0)]
        wait_for_requests(peers.server, until=3 * TIMEOUT)
        assert close(peers.server) == (0,)


class TestARun:
    def test_where_each_worker_has_one_file_nothing_waits_for_a_request(self, tiny_run: Maker) -> None:
        _, summary = simulate(tiny_run(placement={"scheme": "frc", "replication": 3}), num_ranks=16)
        assert sum(requests["votes"] for requests in summary["asked"].values()) == 4 * 15
        assert summary["undecided_files"] == 0

    def test_each_step_computes_as_many_gradients_as_decide_all_files(self, tiny_run: Maker) -> None:
        directory, _ = simulate(tiny_run(), num_ranks=16)
        assert [line["gradients"] for line in read_metrics(directory.metrics)] == [50] * 4

    @pytest.mark.parametrize("name", ["silence", "wrong_digest"])
    def test_a_faulty_worker_costs_one_gradient_for_each_of_its_votes(self, tiny_run: Maker, name: str) -> None:
        attack = {"name": name, "num_byzantine": 1, "selection": "fixed", "workers": [3]}
        directory, summary = simulate(tiny_run(attack=attack), num_ranks=16)
        first = summary["asked"]["3"]["votes"] // 4
        told = [line["gradients"] for line in read_metrics(directory.metrics)]
        silent = first if name == "silence" else 0  # what a silent worker computes nobody hears of
        assert told == [50 + first - silent] * 4
        assert sum(requests["votes"] for requests in summary["asked"].values()) == 4 * (50 + first)

    def test_a_rank_that_boasts_changes_one_number_and_no_more_than_by_the_number_of_files(self) -> None:
        peers = opened(TWO_FILES)
        frame = messages.digests(1, 1, 0, LAYOUT.digests(TRUE))
        peers.send(replace(frame, gradients=1 << 63))
        assert peers.server.gradients == 2

    @pytest.mark.parametrize("attack", [{"name": "alie", "num_byzantine": 3}, {"name": "reversed_gradient", "num_byzantine": 4}])
    def test_which_copies_are_computed_changes_no_bit(
        self,
        tiny_run: Maker,
        monkeypatch: pytest.MonkeyPatch,
        weights_of: Callable[[Path], dict[str, torch.Tensor]],
        same_weights: Callable[..., bool],
        attack: dict[str, Any],
    ) -> None:
        few, _ = simulate(tiny_run(attack=attack, run={"name": "few"}), num_ranks=16)
        monkeypatch.setattr(Builder, "on_request", False)
        all_, summary = simulate(tiny_run(attack=attack, run={"name": "all"}), num_ranks=16)
        assert sum(requests["votes"] for requests in summary["asked"].values()) == 4 * 75
        assert same_weights(weights_of(few.path), weights_of(all_.path))
