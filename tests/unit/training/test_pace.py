"""Deadlines that follow what the others need: who is late, who is asked as well, and how long that is remembered."""

from math import inf

import numpy as np
import pytest
from event_driven_server import TIMEOUT, Peers, gradient, make_server, wait

from byzshield.placement import Assignment, frc
from byzshield.training import ParameterServer, pace, vote_deadlines
from byzshield.training.pace import EARNED, FLOOR, MOST_CREDIT, PATIENCE, SPARED, VOTE_FLOOR, Pace, usual
from byzshield.training.turns import Turns
from byzshield.training.vote_deadlines import VoteDeadlines
from byzshield.wire import ALL_CHUNKS

TRUE = gradient(1, 2, 3)
FALSE = gradient(-9, 2, 3)
ONE_FILE = frc(num_workers=3, replication=3)
TWO_FILES = frc(num_workers=6, replication=3)
PROMPT = 0.5  # seconds in which a worker delivers, in the rounds that measure it


@pytest.fixture(autouse=True)
def _rounds_of_seconds_are_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is spared a busy machine is left out but in the test of it, so that rounds of a second show who is late."""
    monkeypatch.setattr(vote_deadlines, "VOTE_FLOOR", FLOOR)
    monkeypatch.setattr(vote_deadlines, "SPARED", FLOOR)
    monkeypatch.setattr(pace, "LEAST_PATIENCE", 2.0)


def late(server: ParameterServer) -> dict[str, dict[str, int]]:
    """Who was counted for what, without the zeros."""
    return {
        worker: {cause: count for cause, count in causes.items() if count} for worker, causes in server.blame.report().items()
    }


def measured(assignment: Assignment, *, steps: int = 2, exchange: str = "digest") -> tuple[ParameterServer, Peers, float]:
    """A server that has seen every worker deliver after PROMPT seconds, in a new round, and the time at which that begins."""
    server = make_server(assignment, exchange=exchange)
    peers, now = Peers(server), 0.0
    for step in range(1, steps + 1):
        server.open_round(now)
        asked = []
        for file, workers in enumerate(assignment.workers_of.tolist()):
            for worker in workers:
                asked += peers.vote(worker, file, TRUE, step=step, now=now)
        now += PROMPT
        for worker, file, _ in asked:
            peers.pay(worker, file, TRUE, step=step, now=now)
        assert server.round_done
        server.close_round(server.aggregate())
    server.open_round(now)
    return server, peers, now


class TestWhatIsUsual:
    def test_it_is_the_median_and_three_deviations(self) -> None:
        assert usual([1.0, 2.0, 2.25, 2.5, 3.0], slack=0.1) == 2.25 + 3 * 0.25

    def test_the_margin_is_at_least_the_slack_and_at_most_another_median(self) -> None:
        assert usual([1.0, 1.0, 1.0], slack=0.5) == 1.5
        assert usual([1.0, 1.0, 5.0, 9.0, 9.0], slack=0.5) == 10.0

    @pytest.mark.parametrize("lie", [0.0, 1e9, inf])
    def test_fewer_than_half_of_the_workers_cannot_move_it_out_of_what_the_others_need(self, lie: float) -> None:
        true = [1.0, 1.1, 1.2, 1.3]
        assert 1.0 <= usual([*true, lie, lie, lie], slack=0.1) <= 1.3 + 3 * 0.3

    def test_nothing_is_usual_while_half_are_unknown(self) -> None:
        assert usual([1.0, 2.0, inf, inf, inf], slack=0.5) == inf
        assert usual([1.0, 2.0, 2.0, inf, inf], slack=0.5) < inf


class TestMemory:
    def pace(self) -> Pace:
        return Pace(rank_of=range(5), replication=5, ceiling=60.0)

    def test_a_worker_that_was_late_once_is_slow_for_some_steps_and_then_forgiven(self) -> None:
        pace = self.pace()
        pace.late(2)
        slow = 0
        while pace.is_slow(2):
            pace.begin_step()
            slow += 1
        assert 20 < slow < 50

    def test_however_late_it_was_it_is_forgiven(self) -> None:
        pace = self.pace()
        for _ in range(1000):
            pace.begin_step()
            pace.late(2)
        for _ in range(120):
            pace.begin_step()
        assert not pace.is_slow(2)

    def test_being_late_with_many_messages_of_a_step_counts_once(self) -> None:
        often, once = self.pace(), self.pace()
        for _ in range(100):
            often.late(2)
        once.late(2)
        for _ in range(40):
            often.begin_step()
            once.begin_step()
        assert not often.is_slow(2)
        assert not once.is_slow(2)

    def test_late_once_is_asked_last_and_late_twice_is_doubted_for_some_steps(self) -> None:
        pace = self.pace()
        pace.late(2)
        assert pace.is_slow(2)
        assert not pace.is_doubted(2)
        pace.begin_step()
        pace.late(2)
        doubted = 0
        while pace.is_doubted(2):
            pace.begin_step()
            doubted += 1
        assert 5 < doubted < 20

    def test_who_was_waited_for_in_vain_is_doubted_at_once_and_then_forgiven(self) -> None:
        pace = self.pace()
        pace.give_up(2)
        doubted = 0
        while pace.is_doubted(2):
            pace.begin_step()
            doubted += 1
        assert 20 < doubted < 50

    def test_patience_is_for_those_who_were_not_waited_for_in_vain_and_is_used_up_when_it_is_used_in_every_step(self) -> None:
        pace = self.pace()
        pace.give_up(2)
        pace.late(3)
        assert pace.patience(2, 1.0) == 1.0
        assert pace.patience(3, 1.0) == PATIENCE
        assert pace.patience(3, 50.0) == 60.0  # the ceiling
        for _ in range(10):
            pace.spend(PATIENCE, prompt=1.0, granted=1.0)
            pace.begin_step()
        assert pace.patience(3, 1.0) < 1.2
        for _ in range(40):
            pace.begin_step()
        assert pace.patience(3, 1.0) == PATIENCE

    def test_a_wait_is_paid_for_by_its_length_beyond_what_is_granted_and_only_the_longest_of_a_step(self) -> None:
        pace = self.pace()
        for _ in range(20):
            pace.spend(3.0, prompt=1.0, granted=3.0)
            pace.begin_step()
        assert pace.patience(3, 1.0) == PATIENCE
        for _ in range(7):
            for seconds in (2.5, 1.5, 2.5):
                pace.spend(seconds, prompt=1.0, granted=1.0)
            pace.begin_step()
        credit = MOST_CREDIT - 7 * (0.5 - EARNED)
        assert pace.patience(3, 1.0) == pytest.approx(1 + credit * (PATIENCE - 1))

    def test_over_many_steps_no_waits_last_longer_than_if_one_in_so_many_steps_took_all_patience(self) -> None:
        pace, waited, steps = self.pace(), 0.0, 1000
        for _ in range(steps):
            pace.begin_step()
            seconds = pace.patience(3, 1.0)
            waited += seconds - 1.0
            pace.spend(seconds, prompt=1.0, granted=1.0)
        assert waited <= (MOST_CREDIT + steps * EARNED) * (PATIENCE - 1.0)

    def test_a_worker_counts_with_the_longest_of_a_step_however_much_it_sends(self) -> None:
        pace = self.pace()
        for worker in range(5):
            pace.delivered(worker, 2.0)
        for _ in range(1000):
            pace.delivered(0, 0.0)
        pace.begin_step()
        assert pace.payload_limit == 3.0

    def test_nothing_is_late_sooner_than_the_floor_or_later_than_the_ceiling(self) -> None:
        pace = self.pace()
        assert pace.payload_limit == 60.0
        for seconds, limit in ((1e-6, FLOOR), (1e6, 60.0)):
            for worker in range(5):
                pace.delivered(worker, seconds)
            pace.begin_step()
            assert pace.payload_limit == limit

    def test_another_job_knows_who_lied_and_who_was_asked_and_nothing_that_a_clock_has_told(self) -> None:
        pace, other = self.pace(), self.pace()
        for _ in range(2):
            pace.begin_step()
            pace.late(1)
            pace.late(2, false=True)
            pace.doubt(3)
            pace.ask(0)
            for worker in range(5):
                pace.delivered(worker, 0.1)
        other.load_state_dict(pace.state_dict())
        assert [other.is_slow(worker) for worker in range(5)] == [False, False, True, False, False]
        assert [other.is_doubted(worker) for worker in range(5)] == [False, False, True, True, False]
        assert [each.is_given_up(2) for each in (pace, other)] == [True, True]
        assert other.first_to_ask([0, 2, 4]) == pace.first_to_ask([0, 2, 4]) == 4
        for each in (pace, other):
            each.begin_step()
        assert pace.payload_limit < other.payload_limit == other.ceiling

    def test_what_is_remembered_of_other_workers_is_refused(self) -> None:
        with pytest.raises(ValueError, match="remembers 5 workers, and there are 3"):
            Pace(rank_of=range(3), replication=3, ceiling=60.0).load_state_dict(self.pace().state_dict())


class TestPayloads:
    def test_a_second_provider_is_asked_when_the_first_takes_longer_than_is_usual(self) -> None:
        server, peers, began = measured(ONE_FILE)
        peers.vote(0, 0, TRUE, step=3, now=began)
        assert peers.vote(1, 0, TRUE, step=3, now=began) == [(0, 0, ALL_CHUNKS)]
        assert wait(server, until=began + PROMPT) == []
        assert wait(server, until=began + 2 * PROMPT) == [(1, 0, ALL_CHUNKS)]
        peers.pay(1, 0, TRUE, step=3, now=began + 3 * PROMPT)
        assert server.round_done
        assert late(server) == {"0": {"timeout": 1}}

    def test_the_first_provider_may_still_be_the_faster_one(self) -> None:
        server, peers, began = measured(ONE_FILE)
        for worker in (0, 1):
            peers.vote(worker, 0, TRUE, step=3, now=began)
        assert wait(server, until=began + 2 * PROMPT) == [(1, 0, ALL_CHUNKS)]
        now = began + 2 * PROMPT
        assert peers.pay(0, 0, TRUE, step=3, chunks=[0], now=now) == []
        assert peers.pay(1, 0, TRUE, step=3, chunks=[0], now=now) == []  # is there already
        assert peers.pay(1, 0, TRUE, step=3, chunks=[1], now=now) == []
        assert server.round_done
        assert server.close_round(server.aggregate()).applied
        assert late(server) == {"0": {"timeout": 1, "slow": 1}}  # it was silent past its deadline, and came after it

    @pytest.mark.parametrize("liar", [0, 1])
    def test_the_chunks_of_both_are_checked(self, liar: int) -> None:
        server, peers, began = measured(ONE_FILE)
        for worker in (0, 1):
            peers.vote(worker, 0, TRUE, step=3, now=began)
        now = began + 2 * PROMPT
        assert wait(server, until=now) == [(1, 0, ALL_CHUNKS)]
        peers.pay(liar, 0, FALSE, step=3, chunks=[0], now=now)
        assert not server.round_done
        peers.pay(1 - liar, 0, TRUE, step=3, now=now)
        assert server.round_done
        assert late(server)[str(liar)]["payload_mismatch"] == 1
        server.close_round(server.aggregate())
        assert server.state.model.parameter_vector().tolist() == [-3, -6, -9]

    def test_who_sends_the_first_chunk_and_then_stalls_is_slow_and_only_the_rest_is_asked_of_the_next(self) -> None:
        server, peers, began = measured(ONE_FILE)
        for worker in (0, 1):
            peers.vote(worker, 0, TRUE, step=3, now=began)
        peers.pay(0, 0, TRUE, step=3, chunks=[0], now=began + 0.9 * PROMPT)
        assert wait(server, until=began + 2 * PROMPT) == [(1, 0, 1)]
        assert late(server) == {"0": {"slow": 1}}

    def test_the_slow_are_asked_last_in_later_steps_and_again_once_that_is_forgotten(self) -> None:
        server, peers, now = measured(ONE_FILE)
        asked = []
        for step in range(3, 100):
            for worker in range(3):
                for provider, _, _ in peers.vote(worker, 0, TRUE, step=step, now=now):
                    asked.append(provider)
                    if step > 3:
                        peers.pay(provider, 0, TRUE, step=step, now=now + PROMPT)
            if step == 3:  # worker 0 is asked and drips
                wait(server, until=now + 2 * PROMPT)
                now += 2 * PROMPT
                peers.pay(1, 0, TRUE, step=step, now=now)
            now += PROMPT
            server.close_round(server.aggregate())
            server.open_round(now)
        assert asked[0] == 0
        forgiven = asked.index(0, 1)
        assert 20 < forgiven < 50
        assert 0 in asked[forgiven + 1 : forgiven + 4]  # like everybody

    def test_a_prompt_worker_that_votes_later_is_asked_although_the_slow_still_have_time(self) -> None:
        server, peers, began = measured(ONE_FILE)
        for worker in (0, 1):
            server._pace.late(worker)
        peers.vote(0, 0, TRUE, step=3, now=began)
        assert peers.vote(1, 0, TRUE, step=3, now=began) == [(0, 0, ALL_CHUNKS), (1, 0, ALL_CHUNKS)]  # both at once
        assert peers.vote(2, 0, TRUE, step=3, now=began) == [(2, 0, ALL_CHUNKS)]

    def test_a_file_of_silent_accomplices_is_given_up_long_before_the_ceiling(self) -> None:
        server, peers, began = measured(ONE_FILE)
        for worker in range(3):
            peers.vote(worker, 0, TRUE, step=3, now=began)
        wait(server, until=began + TIMEOUT)
        assert server.round_done
        assert late(server) == {str(worker): {"timeout": 1} for worker in range(3)}

    def test_a_file_whose_holders_were_all_late_before_is_waited_for_and_that_is_paid_for(self) -> None:
        server, peers, began = measured(ONE_FILE)
        for worker in range(3):
            server._pace.late(worker)
        for worker in range(3):
            peers.vote(worker, 0, TRUE, step=3, now=began)
        limit, most = server._pace.payload_limit, PATIENCE * server._pace.payload_limit
        wait(server, until=began + (limit + most) / 2)
        peers.pay(2, 0, TRUE, step=3, now=began + (limit + most) / 2)
        assert server.round_done
        assert server.close_round(server.aggregate()).undecided == ()
        assert server._pace._spent == pytest.approx(0.5)

    def test_holders_that_were_waited_for_in_vain_have_what_is_usual(self) -> None:
        server, peers, began = measured(ONE_FILE)
        for step, spent in ((3, 1.0), (4, 0.0)):
            for worker in range(3):
                peers.vote(worker, 0, TRUE, step=step, now=began)
            limit = server._pace.payload_limit
            # In step 3 one is asked after the other, and in step 4 all of them at once.
            began += (2 + PATIENCE) * limit if step == 3 else limit
            wait(server, until=began)
            assert server.round_done
            assert server.close_round(server.aggregate()).undecided == (0,)
            assert server._pace._spent == pytest.approx(spent)
            server.open_round(began)

    def test_every_worker_is_asked_in_turn_so_that_each_is_measured(self) -> None:
        server, _, _ = measured(ONE_FILE)
        assert server._pace._payloads.known[:2] == [PROMPT] * 2
        assert server._pace.payload_limit < TIMEOUT


class TestVotes:
    """Two files of three workers each: 0 to 2 and 3 to 5."""

    def opened(self, exchange: str = "digest") -> tuple[ParameterServer, Peers]:
        server = make_server(TWO_FILES, exchange=exchange)
        server.open_round(0.0)
        return server, Peers(server)

    def give(self, peers: Peers, worker: int, now: float, values: object = TRUE) -> None:
        """A vote in the digest exchange, with the payload if it is asked for."""
        for provider, file, _ in peers.vote(worker, worker // 3, values, now=now):  # type: ignore[arg-type]
            peers.pay(provider, file, TRUE, now=now)

    def test_once_most_have_voted_on_all_files_the_others_have_a_margin(self) -> None:
        server, peers = self.opened()
        self.give(peers, 0, 1.0, FALSE)
        self.give(peers, 1, 1.0)
        assert server.next_deadline() == TIMEOUT
        for worker in (3, 4, 5):
            self.give(peers, worker, 1.0)
        assert server.next_deadline() == pytest.approx(PATIENCE * 4 / 3)
        wait(server, until=PATIENCE * 4 / 3)
        assert server.round_done
        assert server.close_round(server.aggregate()).undecided == (0,)
        assert late(server)["2"] == {"timeout": 1}

    def test_a_needed_vote_within_that_time_counts_and_is_slow(self) -> None:
        server, peers = self.opened()
        self.give(peers, 0, 1.0, FALSE)
        for worker in (1, 3, 4, 5):
            self.give(peers, worker, 1.0)
        self.give(peers, 2, 2.0)
        assert server.round_done
        assert server._pace._deciding_seconds == 1.0  # its own time gives nobody more of it for the next payloads
        assert server.close_round(server.aggregate()).undecided == ()
        assert late(server) == {"0": {"minority": 1}, "2": {"slow": 1}}

    def test_a_vote_that_is_not_much_later_than_the_others_is_not_slow(self) -> None:
        server, peers = self.opened()
        self.give(peers, 0, 1.0, FALSE)
        for worker in (1, 3, 4, 5):
            self.give(peers, worker, 1.0)
        self.give(peers, 2, 1.3)
        assert late(server) == {"0": {"minority": 1}}

    def test_who_was_late_before_is_waited_for_all_the_same(self) -> None:
        server, peers = self.opened()
        for _ in range(5):
            server._pace.late(2)
            server._pace.begin_step()
        self.give(peers, 0, 1.0, FALSE)
        for worker in (1, 3, 4, 5):
            self.give(peers, worker, 1.0)
        assert server.next_deadline() == pytest.approx(PATIENCE * 4 / 3)

    def test_every_late_vote_is_paid_for_and_not_the_first_of_a_worker_alone(self) -> None:
        server = make_server(Assignment(scheme="two", files_of=np.array([[0, 1]] * 3)))
        server.open_round(0.0)
        peers = Peers(server)
        for file in (0, 1):
            peers.vote(0, file, FALSE, now=1.0)
            peers.vote(1, file, TRUE, now=1.0)
        prompt, most = 4 / 3, PATIENCE * 4 / 3
        peers.vote(2, 0, TRUE, now=prompt + 0.1)
        assert server._pace._spent == pytest.approx(0.1 / (most - prompt))
        peers.vote(2, 1, TRUE, now=(prompt + most) / 2)
        assert server._pace._spent == pytest.approx(0.5)
        assert late(server)["2"] == {"slow": 1}

    def test_who_was_waited_for_in_vain_has_the_margin_alone_and_takes_no_credit(self) -> None:
        server, peers = self.opened()
        for step, ends, spent in ((1, PATIENCE * 4 / 3, 1.0), (2, 4 / 3, 0.0)):
            began = 100.0 * (step - 1)
            for worker, values in ((0, FALSE), (1, TRUE), (3, TRUE), (4, TRUE), (5, TRUE)):
                for provider, file, _ in peers.vote(worker, worker // 3, values, step=step, now=began + 1.0):
                    peers.pay(provider, file, TRUE, step=step, now=began + 1.0)
            assert server.next_deadline() == pytest.approx(began + ends)
            wait(server, until=began + ends)
            assert server._pace._spent == pytest.approx(spent)
            assert server.close_round(server.aggregate()).undecided == (0,)
            server.open_round(began + 100.0)

    def test_a_vote_that_decides_a_lost_file_at_last_does_not_say_how_long_votes_take(self) -> None:
        server, peers = self.opened()
        for worker, values in ((0, FALSE), (1, TRUE), (3, TRUE), (4, TRUE), (5, TRUE)):
            self.give(peers, worker, 1.0, values)
        wait(server, until=TIMEOUT)
        assert server.close_round(server.aggregate()).undecided == (0,)
        server.open_round(TIMEOUT)
        self.give(peers, 2, TIMEOUT + 9.0)  # of the step before
        assert server.decisions == 0
        assert server._pace._deciding_seconds == 0.0  # or the next payloads had half of these seconds more

    def test_a_worker_that_is_not_needed_is_not_waited_for(self) -> None:
        server, peers = self.opened()
        for worker in (0, 1, 3, 4):
            self.give(peers, worker, 1.0)
        assert server.round_done
        assert late(server) == {}

    def test_a_rank_with_twice_the_work_has_twice_the_time(self) -> None:
        server = make_server(TWO_FILES, rank_of=[1, 2, 3, 4, 5, 3])  # workers 2 and 5 share a rank, and hold different files
        server.open_round(0.0)
        peers = Peers(server)
        self.give(peers, 0, 0.5, FALSE)
        for worker in (1, 3, 4):
            self.give(peers, worker, 0.5)
        assert server.next_deadline() == pytest.approx(2 * PATIENCE * 0.5 * 4 / 3)

    def test_the_full_exchange_measures_its_copies_alike(self) -> None:
        server, peers = self.opened("full")
        peers.pay(0, 0, FALSE, now=1.0)
        for worker in (1, 3, 4, 5):
            peers.pay(worker, worker // 3, TRUE, now=1.0)
        peers.pay(2, 0, TRUE, chunks=[0], now=1.0)  # and the other chunk never
        assert server.next_deadline() == pytest.approx(PATIENCE * 4 / 3)

    def test_the_dead_do_not_count_among_those_who_are_measured(self) -> None:
        server, peers = self.opened()
        for rank in (4, 5, 6):
            server.lose(rank, 0.0)
        self.give(peers, 0, 1.0, FALSE)
        self.give(peers, 1, 1.0)
        assert server.next_deadline() == pytest.approx(PATIENCE * 4 / 3)


def test_a_server_that_could_not_look_reads_what_came_in_time_before_it_gives_anybody_up() -> None:
    server = make_server(ONE_FILE)
    peers = Peers(server)
    server.open_round(0.0)
    peers.vote(0, 0, TRUE, now=1.0)
    assert server.tick(TIMEOUT + 5) == []
    assert not server.round_done
    assert server.next_deadline() == TIMEOUT + 5 + FLOOR
    peers.vote(1, 0, TRUE, now=TIMEOUT + 5.01)
    peers.pay(0, 0, TRUE, now=TIMEOUT + 5.02)
    assert server.round_done
    assert late(server) == {}


def test_votes_are_spared_on_a_busy_machine_but_not_those_of_a_worker_that_is_late_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vote_deadlines, "VOTE_FLOOR", VOTE_FLOOR)
    monkeypatch.setattr(vote_deadlines, "SPARED", SPARED)
    memory = Pace(rank_of=range(5), replication=3, ceiling=60.0)
    given_up = []
    turns = Turns(spare=[[]], votes=[1] * 5, work=dict.fromkeys(range(5), 1), most_work=dict.fromkeys(range(5), 1))
    for _ in range(4):
        memory.begin_step()
        votes = VoteDeadlines(memory, turns=turns, began=0.0)
        for worker in (1, 2, 3):
            votes.voted(worker, 0.01)
        assert not votes.late(0, 0.99 * VOTE_FLOOR)
        assert votes.late(0, 1.01 * VOTE_FLOOR)
        given_up.append(votes.next)
        memory.late(0)
        memory.give_up(0)
    # Patience first; then, since that was in vain, it is spared; and not any more after the third time.
    assert given_up == [PATIENCE * VOTE_FLOOR, SPARED, SPARED, VOTE_FLOOR]


def test_what_a_vote_is_spared_is_free_and_what_it_takes_beyond_is_paid_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vote_deadlines, "VOTE_FLOOR", VOTE_FLOOR)
    monkeypatch.setattr(vote_deadlines, "SPARED", SPARED)
    memory = Pace(rank_of=range(5), replication=3, ceiling=60.0)
    turns = Turns(spare=[[]], votes=[1] * 5, work=dict.fromkeys(range(5), 1), most_work=dict.fromkeys(range(5), 1))
    votes = VoteDeadlines(memory, turns=turns, began=0.0)
    for worker in (1, 2, 3):
        votes.voted(worker, 0.01)
    most = PATIENCE * VOTE_FLOOR
    for seconds, spent in ((0.99 * SPARED, 0.0), ((SPARED + most) / 2, 0.5)):
        votes.spend(0, seconds)
        assert memory._spent == pytest.approx(spent)
