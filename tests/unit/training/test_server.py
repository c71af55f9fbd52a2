"""The parameter server, event by event: votes, requests, payloads, deadlines, losses, and what is held against whom."""

import numpy as np
import pytest
from event_driven_server import LAYOUT, TIMEOUT, Peers, gradient, make_server, requests, wait

from byzshield.aggregation import Mean, Median, MoNNA
from byzshield.errors import CheckpointError, DivergedError, LostWorkersError
from byzshield.placement import baseline, frc, mols
from byzshield.training import ParameterServer, StepOutcome
from byzshield.wire import ALL_CHUNKS, DType, Frame, Kind, Packet, messages

TRUE = gradient(1, 2, 3)
FALSE = gradient(-9, 2, 3)
ONE_FILE = frc(num_workers=3, replication=3)
TWO_FILES = frc(num_workers=6, replication=3)


def blamed(server: ParameterServer) -> dict[str, dict[str, int]]:
    """What is held against whom, without the zeros."""
    return {
        worker: {cause: count for cause, count in causes.items() if count} for worker, causes in server.blame.report().items()
    }


def opened(server: ParameterServer, now: float = 0.0) -> Peers:
    server.open_round(now)
    return Peers(server)


def close(server: ParameterServer) -> StepOutcome:
    return server.close_round(server.aggregate())


def parameters(server: ParameterServer) -> list[float]:
    return server.state.model.parameter_vector().tolist()


class TestAnUndisturbedRound:
    def test_parameters_go_to_every_rank_once(self) -> None:
        server = make_server(TWO_FILES, rank_of=[1, 1, 2, 2, 3, 3])
        outgoing = server.open_round(0.0)
        assert [(message.rank, message.tag) for message in outgoing] == [(rank, Kind.PARAMETERS) for rank in (1, 2, 3)]
        frame = Frame.decode(outgoing[0].data, bounds={Kind.PARAMETERS: 12})
        assert (frame.step, np.frombuffer(frame.payload, "<f4").tolist()) == (1, [0, 0, 0])
        assert server.bytes_sent == sum(len(message.data) for message in outgoing)

    def test_the_second_equal_vote_decides_and_one_supporter_is_asked(self) -> None:
        peers = opened(make_server(ONE_FILE))
        assert peers.vote(2, 0, TRUE) == []
        assert peers.vote(0, 0, TRUE) == [(0, 0, ALL_CHUNKS)]
        assert peers.vote(1, 0, TRUE) == []
        assert not peers.server.round_done

    def test_the_round_ends_with_the_last_chunk_and_the_step_is_applied(self) -> None:
        server = make_server(ONE_FILE)
        peers = opened(server)
        peers.vote(0, 0, TRUE)
        peers.vote(1, 0, TRUE)
        peers.pay(0, 0, TRUE, chunks=[1])
        assert not server.round_done
        peers.pay(0, 0, TRUE, chunks=[0])
        assert server.round_done
        outcome = close(server)
        assert (outcome.step, outcome.applied, outcome.undecided) == (1, True, ())
        assert (server.step, parameters(server)) == (1, [-1, -2, -3])
        assert blamed(server) == {}

    def test_requests_are_spread_over_the_supporters(self) -> None:
        peers = opened(make_server(mols(load=5, replication=3)))
        assignment = mols(load=5, replication=3)
        asked = []
        for file, workers in enumerate(assignment.workers_of.tolist()):
            for worker in workers[:2]:
                asked += [worker for worker, _, _ in peers.vote(worker, file, TRUE)]
        assert len(asked) == 25
        assert max(asked.count(worker) for worker in set(asked)) <= 3

    def test_full_exchange_needs_no_request(self) -> None:
        server = make_server(ONE_FILE, exchange="full")
        peers = opened(server)
        assert peers.pay(2, 0, TRUE) == []
        assert not server.round_done
        assert peers.pay(0, 0, TRUE, chunks=[1, 0]) == []
        assert server.round_done
        close(server)
        assert parameters(server) == [-1, -2, -3]


class TestComputeSeconds:
    def test_the_most_that_each_rank_says_in_the_step_under_way_counts(self) -> None:
        server = make_server(TWO_FILES, rank_of=[1, 1, 1, 2, 2, 2])
        peers = opened(server)
        for worker, file, microseconds in [(0, 0, 2_000_000), (1, 0, 1_500_000), (3, 1, 500_000)]:
            peers.send(frame(worker=worker, file=file, compute_us=microseconds, count=64, payload=VOTE), source=1 + worker // 3)
        assert server.compute_seconds == {1: 2.0, 2: 0.5}

    def test_what_is_refused_or_late_does_not_count(self) -> None:
        server = make_server(ONE_FILE)
        peers = opened(server)
        for worker in (0, 1):
            peers.vote(worker, 0, TRUE)
        peers.pay(0, 0, TRUE)
        close(server)
        server.open_round(0.0)
        peers.send(frame(worker=2, step=1, count=64, payload=VOTE, compute_us=1))
        peers.send(frame(worker=2, step=2, count=64, payload=VOTE, compute_us=1, file=7))
        assert server.compute_seconds == {}


class TestEquivocation:
    """Somebody says one thing here and another there."""

    def test_a_minority_vote_is_counted_whether_it_comes_early_or_late(self) -> None:
        server = make_server(TWO_FILES)
        peers = opened(server)
        peers.vote(0, 0, FALSE)
        peers.vote(1, 0, TRUE)
        assert peers.vote(2, 0, TRUE) == [(1, 0, ALL_CHUNKS)]
        peers.vote(3, 1, TRUE)
        peers.vote(4, 1, TRUE)
        peers.vote(5, 1, FALSE)
        assert blamed(server) == {"0": {"minority": 1}, "5": {"minority": 1}}

    def test_a_second_vote_is_malformed_and_does_not_count(self) -> None:
        server = make_server(ONE_FILE)
        peers = opened(server)
        peers.vote(0, 0, FALSE)
        assert peers.vote(0, 0, FALSE) == []
        assert blamed(server) == {"0": {"malformed": 1}}
        assert peers.vote(1, 0, TRUE) == []
        assert peers.vote(2, 0, TRUE) == [(1, 0, ALL_CHUNKS)]

    def test_a_payload_that_was_not_voted_for_is_proof_and_the_next_supporter_is_asked(self) -> None:
        server = make_server(ONE_FILE)
        peers = opened(server)
        peers.vote(0, 0, TRUE)
        peers.vote(1, 0, TRUE)
        assert peers.pay(0, 0, FALSE, chunks=[0]) == [(1, 0, ALL_CHUNKS)]
        assert blamed(server) == {"0": {"payload_mismatch": 1}}
        peers.pay(1, 0, TRUE)
        close(server)
        assert parameters(server) == [-1, -2, -3]

    def test_only_what_is_missing_is_asked_of_the_next(self) -> None:
        peers = opened(make_server(ONE_FILE))
        peers.vote(0, 0, TRUE)
        peers.vote(1, 0, TRUE)
        peers.pay(0, 0, TRUE, chunks=[0])
        assert peers.pay(0, 0, gradient(1, 2, 0), chunks=[1]) == [(1, 0, 1)]
        assert peers.pay(0, 0, TRUE, chunks=[1]) == []  # too late: it is the other's now
        assert not peers.server.round_done
        peers.pay(1, 0, TRUE, chunks=[1])
        assert peers.server.round_done
        assert blamed(peers.server) == {"0": {"payload_mismatch": 1}}

    def test_a_damaged_payload_is_malformed_and_the_next_supporter_is_asked(self) -> None:
        server = make_server(ONE_FILE)
        peers = opened(server)
        peers.vote(0, 0, TRUE)
        peers.vote(1, 0, TRUE)
        wrong = Frame(kind=Kind.GRADIENT, worker=0, step=1, dtype=DType.FLOAT32, count=1, payload=bytes(4))
        assert peers.send(wrong) == [(1, 0, ALL_CHUNKS)]
        assert blamed(server) == {"0": {"malformed": 1}}

    def test_a_late_vote_revives_a_file_whose_supporters_all_lied(self) -> None:
        server = make_server(ONE_FILE)
        peers = opened(server)
        peers.vote(0, 0, TRUE)
        peers.vote(1, 0, TRUE)
        peers.pay(0, 0, FALSE, chunks=[0])
        assert peers.pay(1, 0, FALSE, chunks=[0]) == []
        assert not server.round_done
        assert peers.vote(2, 0, TRUE) == [(2, 0, ALL_CHUNKS)]
        peers.pay(2, 0, TRUE)
        close(server)
        assert parameters(server) == [-1, -2, -3]

    def test_a_file_whose_supporters_all_lied_is_undecided_once_nobody_is_left(self) -> None:
        server = make_server(ONE_FILE)
        peers = opened(server)
        for worker in range(3):
            peers.vote(worker, 0, TRUE)
        for worker in range(3):
            peers.pay(worker, 0, FALSE, chunks=[0])
        assert server.round_done
        outcome = close(server)
        assert (outcome.applied, outcome.undecided) == (False, (0,))
        assert parameters(server) == [0, 0, 0]

    def test_full_exchange_counts_a_copy_that_differs(self) -> None:
        server = make_server(ONE_FILE, exchange="full")
        peers = opened(server)
        peers.pay(0, 0, TRUE)
        peers.pay(1, 0, FALSE)
        peers.pay(2, 0, TRUE)
        close(server)
        assert blamed(server) == {"1": {"minority": 1}}
        assert parameters(server) == [-1, -2, -3]


class TestDeadlines:
    def test_votes_that_do_not_come_leave_a_file_undecided_and_name_the_silent(self) -> None:
        server = make_server(TWO_FILES)
        peers = opened(server, now=5.0)
        assert server.next_deadline() == 5.0 + TIMEOUT
        peers.vote(0, 0, TRUE, now=6.0)
        for worker in (3, 4):
            peers.vote(worker, 1, TRUE, now=6.0)
        peers.pay(3, 1, TRUE, now=7.0)
        assert server.tick(14.9) == []
        assert blamed(server) == {}
        assert server.tick(15.0) == []
        assert server.round_done
        assert blamed(server) == {"1": {"timeout": 1}, "2": {"timeout": 1}}
        assert close(server).undecided == (0,)

    def test_votes_after_the_deadline_do_not_decide_a_file_any_more(self) -> None:
        server = make_server(TWO_FILES)
        peers = opened(server)
        peers.vote(0, 0, TRUE)
        for worker in (3, 4):
            peers.vote(worker, 1, TRUE, now=5.0)
        server.tick(TIMEOUT)
        assert not server.round_done  # the payload of file 1 has until 15
        assert peers.vote(1, 0, TRUE, now=11.0) == []
        peers.pay(3, 1, TRUE, now=12.0)
        assert server.round_done
        assert close(server).undecided == (0,)

    def test_a_provider_that_stays_silent_is_counted_and_replaced(self) -> None:
        server = make_server(ONE_FILE)
        peers = opened(server)
        peers.vote(0, 0, TRUE, now=1.0)
        peers.vote(1, 0, TRUE, now=2.0)
        assert server.next_deadline() == TIMEOUT  # of the votes
        server.tick(TIMEOUT)
        assert server.next_deadline() == 2.0 + TIMEOUT  # of the payload
        assert requests(server.tick(2.0 + TIMEOUT)) == [(1, 0, ALL_CHUNKS)]
        assert blamed(server) == {"0": {"timeout": 1}}
        assert server.next_deadline() == 2.0 + 2 * TIMEOUT
        peers.pay(1, 0, TRUE, now=13.0)
        assert server.next_deadline() is None

    def test_a_file_is_given_up_when_no_supporter_delivers(self) -> None:
        server = make_server(ONE_FILE)
        peers = opened(server)
        peers.vote(0, 0, TRUE)
        peers.vote(1, 0, TRUE)
        assert wait(server, until=2 * TIMEOUT) == [(1, 0, ALL_CHUNKS)]
        assert server.round_done
        # Worker 2 never voted, but nobody waited for it: the file was decided without it.
        assert blamed(server) == {"0": {"timeout": 1}, "1": {"timeout": 1}}

    def test_a_file_whose_supporters_all_lied_waits_for_the_silent_until_the_votes_are_due(self) -> None:
        server = make_server(ONE_FILE)
        peers = opened(server)
        for worker in (0, 1):
            peers.vote(worker, 0, TRUE)
        for worker in (0, 1):
            peers.pay(worker, 0, FALSE, chunks=[0])
        assert not server.round_done
        wait(server, until=TIMEOUT)
        assert server.round_done
        assert close(server).undecided == (0,)

    def test_the_quorum_skips_a_step_with_too_few_files(self) -> None:
        server = make_server(TWO_FILES, quorum=0.6)
        peers = opened(server)
        peers.vote(0, 0, TRUE)
        peers.vote(1, 0, TRUE)
        peers.pay(0, 0, TRUE)
        server.tick(TIMEOUT)
        outcome = close(server)
        assert (outcome.applied, outcome.reason) == (False, "1 of 2 files were decided; the quorum is 0.6 of them")
        assert (server.step, parameters(server)) == (1, [0, 0, 0])


class TestATrustedFile:
    """A rule that trusts one file trusts that one, whichever other files have no winner."""

    FIRST = (0.0, 1.0, 10.0, 100.0, 11.0)  # of the gradient of each file; three of them are averaged

    def closed(self, silent: int, *, reference: int) -> tuple[ParameterServer, StepOutcome]:
        """A server that has closed a round in which one worker, the only holder of its file, sent nothing."""
        server = make_server(baseline(num_workers=5), rule=MoNNA(num_corrupted=1, reference=reference))
        peers = opened(server)
        for file, first in enumerate(self.FIRST):
            if file != silent:
                peers.vote(file, file, gradient(first, 0, 0))
                peers.pay(file, file, gradient(first, 0, 0))
        wait(server, until=TIMEOUT)
        assert server.round_done
        return server, close(server)

    def test_an_undecided_file_before_it_does_not_put_another_in_its_place(self) -> None:
        server, outcome = self.closed(0, reference=2)
        assert (outcome.applied, outcome.undecided) == (True, (0,))
        assert parameters(server)[0] == pytest.approx(-(10 + 11 + 1) / 3)

    def test_without_it_the_step_is_skipped(self) -> None:
        server, outcome = self.closed(2, reference=2)
        assert (outcome.applied, outcome.undecided) == (False, (2,))
        assert outcome.reason == "MoNNA cannot do without its reference, row 2, which is missing"
        assert parameters(server) == [0, 0, 0]

    def test_the_run_goes_on_as_long_as_its_worker_lives(self) -> None:
        server = make_server(baseline(num_workers=5), rule=MoNNA(num_corrupted=1, reference=4))
        peers = opened(server)
        server.lose(1, 0.0)
        for file, first in enumerate(self.FIRST[1:], 1):
            peers.vote(file, file, gradient(first, 0, 0))
            peers.pay(file, file, gradient(first, 0, 0))
        server.aggregate()
        server.lose(5, 0.0)
        with pytest.raises(LostWorkersError, match="row 4, which is missing"):
            server.aggregate()


class TestLateMessages:
    def two_rounds(self) -> tuple[ParameterServer, Peers]:
        """A server in its second round, in whose first worker 2 was not needed."""
        server = make_server(ONE_FILE)
        peers = opened(server)
        peers.vote(0, 0, TRUE)
        peers.vote(1, 0, TRUE)
        peers.pay(0, 0, TRUE)
        close(server)
        server.open_round(1.0)
        return server, peers

    def test_a_late_vote_of_the_round_before_is_still_compared(self) -> None:
        server, peers = self.two_rounds()
        assert peers.vote(2, 0, FALSE, step=1) == []
        assert blamed(server) == {"2": {"minority": 1}}

    def test_a_late_payload_of_the_round_before_changes_nothing(self) -> None:
        server, peers = self.two_rounds()
        before = parameters(server)
        assert peers.pay(1, 0, FALSE, step=1) == []
        assert (parameters(server), blamed(server)) == (before, {})

    def test_what_is_older_is_dropped_without_blame(self) -> None:
        server, peers = self.two_rounds()
        peers.vote(0, 0, TRUE, step=2)
        peers.vote(1, 0, TRUE, step=2)
        peers.pay(1, 0, TRUE, step=2)
        close(server)
        server.open_round(2.0)
        assert peers.vote(2, 0, FALSE, step=1) == []
        assert blamed(server) == {}

    def test_a_step_that_has_not_begun_is_malformed(self) -> None:
        server, peers = self.two_rounds()
        assert peers.vote(2, 0, TRUE, step=3) == []
        assert blamed(server) == {"2": {"malformed": 1}}

    def test_a_late_greeting_is_taken_and_forgotten(self) -> None:
        server, peers = self.two_rounds()
        assert peers.send(messages.hello(2, {"torch": "2"})) == []
        assert blamed(server) == {}

    def test_goodbyes_are_kept_by_rank(self) -> None:
        server, peers = self.two_rounds()
        assert [message.tag for message in server.stop()] == [Kind.STOP] * 3
        peers.send(messages.goodbye(2, 4096))
        assert server.goodbyes == {3: 4096}


class TestLostRanks:
    def test_a_lost_rank_is_counted_once_and_gets_nothing_more(self) -> None:
        server = make_server(TWO_FILES, rank_of=[1, 1, 2, 2, 3, 3])
        opened(server)
        assert server.lose(2, 0.0) == server.lose(2, 0.0) == []
        assert blamed(server) == {"2": {"lost": 1}, "3": {"lost": 1}}
        assert server.ranks == [1, 3]
        assert {message.rank for message in server.stop()} == {1, 3}

    def test_nobody_waits_for_the_votes_of_the_dead(self) -> None:
        server = make_server(ONE_FILE)
        peers = opened(server)
        peers.vote(0, 0, TRUE)
        server.lose(2, 0.0)
        assert not server.round_done  # worker 2 may still agree with worker 0
        server.lose(3, 0.0)
        assert server.round_done

    def test_another_supporter_is_asked_at_once_when_the_provider_dies(self) -> None:
        server = make_server(ONE_FILE)
        peers = opened(server)
        peers.vote(0, 0, TRUE)
        peers.vote(1, 0, TRUE)
        peers.pay(0, 0, TRUE, chunks=[0])
        assert requests(server.lose(1, 0.0)) == [(1, 0, 1)]
        assert blamed(server) == {"0": {"lost": 1}}

    def test_a_dead_supporter_is_not_asked(self) -> None:
        server = make_server(ONE_FILE)
        peers = opened(server)
        peers.vote(0, 0, TRUE)
        peers.vote(1, 0, TRUE)
        server.lose(2, 0.0)
        assert peers.pay(0, 0, FALSE, chunks=[0]) == []
        assert peers.vote(2, 0, TRUE) == [(2, 0, ALL_CHUNKS)]

    def test_the_dead_of_one_round_are_given_up_in_the_next(self) -> None:
        server = make_server(ONE_FILE)
        peers = opened(server)
        server.lose(3, 0.0)
        for step, provider in ((1, 0), (2, 1)):
            peers.vote(0, 0, TRUE, step=step)
            assert peers.vote(1, 0, TRUE, step=step) == [(provider, 0, ALL_CHUNKS)]
            peers.pay(provider, 0, TRUE, step=step)
            assert close(server).applied
            assert [message.rank for message in server.open_round(1.0)] == [1, 2]
        peers.vote(0, 0, TRUE, step=3)
        peers.vote(1, 0, FALSE, step=3)
        assert server.round_done  # one against one, and nobody else will vote
        assert not close(server).applied

    def test_survivors_who_can_decide_enough_go_on(self) -> None:
        server = make_server(TWO_FILES)
        peers = opened(server)
        for rank in (1, 2):
            server.lose(rank, 0.0)
        peers.vote(3, 1, TRUE)
        peers.vote(4, 1, TRUE)
        peers.pay(3, 1, TRUE)
        peers.vote(2, 0, TRUE)
        outcome = close(server)
        assert (outcome.applied, outcome.undecided) == (True, (0,))

    @pytest.mark.parametrize(
        ("options", "reason"),
        [
            ({"rule": Median(num_corrupted=1)}, "Median against 1 corrupted rows needs at least 3 rows; got 1"),
            ({"quorum": 1.0}, "1 of 2 files were decided; the quorum is 1 of them"),
        ],
        ids=["rule", "quorum"],
    )
    def test_survivors_who_never_can_decide_enough_end_the_run(self, options: dict[str, object], reason: str) -> None:
        server = make_server(TWO_FILES, **options)
        opened(server)
        server.lose(1, 0.0)
        server.lose(2, 0.0)
        with pytest.raises(LostWorkersError) as raised:
            server.aggregate()
        assert str(raised.value) == (
            f"only 4 of 6 workers are left, who can decide 1 of the 2 files ({reason}); "
            "start the job again with --resume, on hosts that work"
        )


def frame(kind: Kind = Kind.DIGESTS, **fields: object) -> Frame:
    return Frame(kind=kind, **{"worker": 0, "step": 1, **fields})  # type: ignore[arg-type]


VOTE = LAYOUT.digests(TRUE)
NUMBERS = {"dtype": DType.FLOAT32, "count": 2, "payload": bytes(8)}


class TestRefusals:
    """Frames that are well formed and out of place: each is held against its sender, and nothing else happens."""

    @pytest.mark.parametrize(
        "wrong",
        [
            pytest.param(frame(worker=3, count=64, payload=VOTE), id="in the name of a worker on another rank"),
            pytest.param(frame(worker=99, count=64, payload=VOTE), id="in the name of nobody"),
            pytest.param(frame(file=2, count=64, payload=VOTE), id="a file that does not exist"),
            pytest.param(frame(file=1, count=64, payload=VOTE), id="a vote on a file of others"),
            pytest.param(frame(count=32, payload=VOTE[:32]), id="a vote with too few digests"),
            pytest.param(frame(count=0), id="a vote with no digest"),
            pytest.param(frame(dtype=DType.FLOAT32, count=16, payload=VOTE), id="a vote of numbers"),
            pytest.param(frame(count=64, payload=VOTE[:40], compressed=True), id="a compressed vote"),
            pytest.param(frame(step=2, count=64, payload=VOTE), id="a step that has not begun"),
            pytest.param(frame(Kind.GRADIENT, **NUMBERS), id="a payload that nobody asked for"),
            pytest.param(frame(Kind.GRADIENT, file=7, **NUMBERS), id="a payload of a file that does not exist"),
            pytest.param(frame(Kind.FETCH), id="a kind that only the server sends"),
            pytest.param(frame(Kind.HELLO, count=2, payload=b"{}"), id="a greeting for this step"),
            pytest.param(frame(Kind.GOODBYE, count=7, payload=bytes(7)), id="a goodbye of the wrong length"),
        ],
    )
    def test_in_the_digest_exchange(self, wrong: Frame) -> None:
        server = make_server(TWO_FILES)
        peers = opened(server)
        assert peers.send(wrong, source=1) == []
        assert blamed(server) == {"0": {"malformed": 1}}
        assert server.goodbyes == {}
        # The round goes on as if it had never come.
        assert peers.vote(1, 0, TRUE) == []
        assert peers.vote(2, 0, TRUE) == [(1, 0, ALL_CHUNKS)]

    @pytest.mark.parametrize(
        "wrong",
        [
            pytest.param(frame(count=64, payload=VOTE), id="a vote by digests"),
            pytest.param(frame(Kind.HELLO, **NUMBERS), id="a greeting that looks like a payload"),
            pytest.param(frame(Kind.GRADIENT, file=2, **NUMBERS), id="a file that does not exist"),
            pytest.param(frame(Kind.GRADIENT, file=1, **NUMBERS), id="a file of others"),
            pytest.param(frame(Kind.GRADIENT, chunk=2, **NUMBERS), id="a chunk that does not exist"),
            pytest.param(frame(Kind.GRADIENT, dtype=DType.FLOAT32, count=1, payload=bytes(4)), id="a chunk of the wrong length"),
        ],
    )
    def test_in_the_full_exchange(self, wrong: Frame) -> None:
        server = make_server(TWO_FILES, exchange="full")
        peers = opened(server)
        assert peers.send(wrong) == []
        assert blamed(server) == {"0": {"malformed": 1}}
        peers.pay(1, 0, TRUE)
        peers.pay(2, 0, TRUE)
        assert blamed(server) == {"0": {"malformed": 1}}

    def test_a_chunk_that_has_come_already(self) -> None:
        for exchange in ("digest", "full"):
            server = make_server(ONE_FILE, exchange=exchange)
            peers = opened(server)
            if exchange == "digest":
                peers.vote(0, 0, TRUE)
                peers.vote(1, 0, TRUE)
            peers.pay(0, 0, TRUE, chunks=[0, 0])
            assert blamed(server) == {"0": {"malformed": 1}}
            assert not server.round_done

    def test_a_chunk_that_does_not_exist(self) -> None:
        server = make_server(ONE_FILE)
        peers = opened(server)
        peers.vote(0, 0, TRUE)
        peers.vote(1, 0, TRUE)
        peers.send(frame(Kind.GRADIENT, chunk=2, **NUMBERS))
        assert blamed(server) == {"0": {"malformed": 1}}

    def test_a_message_that_names_nobody_is_held_against_all_workers_of_its_rank(self) -> None:
        server = make_server(TWO_FILES, rank_of=[1, 1, 2, 2, 3, 3])
        opened(server)
        for data in (b"garbage", None):
            assert server.receive(Packet(source=2, tag=Kind.DIGESTS, data=data, num_bytes=10**9), 0.0) == []
        assert blamed(server) == {"2": {"malformed": 2}, "3": {"malformed": 2}}
        assert server.bytes_received == 2 * 10**9

    def test_a_frame_that_names_a_worker_is_held_against_that_one_alone(self) -> None:
        server = make_server(TWO_FILES, rank_of=[1, 1, 2, 2, 3, 3])
        peers = opened(server)
        peers.send(frame(worker=3, count=32, payload=VOTE[:32]), source=2)
        assert blamed(server) == {"3": {"malformed": 1}}

    def test_a_message_from_a_rank_without_workers_is_held_against_nobody(self) -> None:
        server = make_server(ONE_FILE)
        opened(server)
        assert server.receive(Packet(source=17, tag=Kind.DIGESTS, data=b"garbage", num_bytes=7), 0.0) == []
        assert blamed(server) == {}

    def test_a_vote_before_the_first_round(self) -> None:
        server = make_server(ONE_FILE)
        assert Peers(server).vote(0, 0, TRUE) == []
        assert blamed(server) == {"0": {"malformed": 1}}


class TestTheStepItself:
    def test_the_loss_is_that_of_the_winners_without_as_many_outliers_as_the_rule_tolerates(self) -> None:
        server = make_server(baseline(num_workers=5), rule=Median(num_corrupted=1))
        peers = opened(server)
        for worker, loss in enumerate((0.1, 0.3, 0.5, 0.2, -1e9)):
            values = gradient(1, 2, 3, loss=loss)
            peers.vote(worker, worker, values)
            peers.pay(worker, worker, values)
        outcome = close(server)
        assert outcome.loss == pytest.approx((0.1 + 0.2 + 0.3) / 3)

    def test_a_loss_that_is_not_finite_drops_its_file(self) -> None:
        server = make_server(baseline(num_workers=3), rule=Median(num_corrupted=1))
        peers = opened(server)
        for worker, loss in enumerate((1.0, np.inf, 2.0)):
            values = gradient(1, 2, 3, loss=loss)
            peers.vote(worker, worker, values)
            peers.pay(worker, worker, values)
        outcome = close(server)
        assert (outcome.non_finite, outcome.loss) == ((1,), 1.5)
        assert blamed(server) == {"1": {"non_finite": 1}}

    def test_a_row_that_is_not_finite_is_dropped_and_its_supporters_are_named(self) -> None:
        server = make_server(TWO_FILES, rule=Mean(num_corrupted=1))
        peers = opened(server)
        for worker, values in ((0, gradient(np.nan, 0, 0)), (1, gradient(np.nan, 0, 0)), (3, TRUE), (4, TRUE)):
            peers.vote(worker, worker // 3, values)
        peers.pay(0, 0, gradient(np.nan, 0, 0))
        peers.pay(3, 1, TRUE)
        outcome = close(server)
        assert (outcome.applied, outcome.non_finite) == (True, (0,))
        assert parameters(server) == [-1, -2, -3]
        assert blamed(server) == {"0": {"non_finite": 1}, "1": {"non_finite": 1}}

    def test_a_restored_server_goes_on_where_the_other_was(self) -> None:
        server = make_server(baseline(num_workers=1))
        peers = opened(server)
        peers.vote(0, 0, TRUE)
        peers.pay(0, 0, TRUE)
        close(server)
        again = make_server(baseline(num_workers=1))
        again.load_state_dict(server.state_dict())
        assert (again.step, parameters(again)) == (1, [-1, -2, -3])
        with pytest.raises(CheckpointError, match="does not fit this run"):
            again.load_state_dict({**server.state_dict(), "model": {}})
        with pytest.raises(CheckpointError, match="does not fit this run"):
            again.load_state_dict({"step": 1})

    def test_what_is_asked_of_each_worker_is_counted(self) -> None:
        server = make_server(mols(load=5, replication=3), rank_of=[1] * 5 + [2] * 5 + [3] * 5)
        opened(server)
        server.lose(3, 0.0)
        server.open_round(1.0)
        assert server.blame.asked()["0"] == {"steps": 2, "votes": 10, "payloads": 0}
        assert server.blame.asked()["10"] == {"steps": 1, "votes": 5, "payloads": 0}

    def test_a_payload_counts_as_asked_of_everyone_who_was_asked_for_it(self) -> None:
        server = make_server(ONE_FILE)
        peers = opened(server)
        peers.vote(0, 0, TRUE)
        peers.vote(1, 0, TRUE)
        peers.pay(0, 0, FALSE, chunks=[0])
        peers.pay(1, 0, TRUE)
        assert [server.blame.asked()[worker]["payloads"] for worker in "012"] == [1, 1, 0]
        assert close(server).blamed == {"0": {"payload_mismatch": 1}}

    def test_the_state_before_skipped_steps_keeps_what_was_counted_in_them(self) -> None:
        server = make_server(ONE_FILE)
        for step in (1, 2, 3):
            peers = opened(server, 100.0 * step)
            if step == 1:
                peers.vote(0, 0, TRUE)
                peers.vote(1, 0, TRUE)
                peers.pay(0, 0, TRUE)
                assert server.state_before_skips()["step"] == 0
            else:
                server.tick(100.0 * step + TIMEOUT)
            assert close(server).applied == (step == 1)
        assert server.state_dict()["step"] == 3
        before = server.state_before_skips()
        assert before["step"] == 1
        again = make_server(ONE_FILE)
        again.load_state_dict(before)
        assert parameters(again) == [-1, -2, -3]
        assert blamed(again) == {"0": {"timeout": 2}, "1": {"timeout": 2}, "2": {"timeout": 2}}


class TestDivergence:
    """The model itself leaves the range of numbers: the run ends, and nobody is blamed."""

    @staticmethod
    def played(server: ParameterServer, rows: list[np.ndarray], step: int = 1) -> None:
        peers = opened(server)
        for worker, row in enumerate(rows):
            peers.vote(worker, worker, row, step=step)
            peers.pay(worker, worker, row, step=step)

    def test_more_gradients_that_are_not_finite_than_can_be_false(self) -> None:
        server = make_server(baseline(num_workers=5), rule=Median(num_corrupted=1))
        self.played(server, [TRUE] * 5)
        close(server)
        self.played(server, [gradient(np.nan, 0, 0), gradient(0, np.inf, 0), TRUE, TRUE, TRUE], step=2)
        with pytest.raises(DivergedError) as raised:
            server.aggregate()
        assert str(raised.value) == (
            "the model diverged at step 2 (last loss 0.5, learning rate 1): 2 of 5 files have a gradient that is not "
            "finite, and at most 1 can be false; no worker is blamed for it, use a lower optimizer.lr, with --resume or afresh"
        )
        assert (server.step, server.state.finite, blamed(server)) == (1, True, {})

    def test_as_many_as_can_be_false_are_dropped(self) -> None:
        server = make_server(baseline(num_workers=5), rule=Median(num_corrupted=1))
        self.played(server, [gradient(np.nan, 0, 0), TRUE, TRUE, TRUE, TRUE])
        assert close(server).applied
        assert blamed(server) == {"0": {"non_finite": 1}}

    def test_all_gradients_when_too_few_are_left_for_the_rule(self) -> None:
        server = make_server(baseline(num_workers=3), rule=Median(num_corrupted=1))
        self.played(server, [gradient(np.nan, 0, 0)] * 3)
        with pytest.raises(DivergedError, match="3 of 3 files"):
            server.aggregate()

    def test_finite_gradients_whose_combination_is_not(self) -> None:
        class Sum(Mean):
            def _combine(self, rows: np.ndarray) -> np.ndarray:
                with np.errstate(over="ignore"):
                    return rows.sum(axis=0)

        server = make_server(baseline(num_workers=3), rule=Sum())
        self.played(server, [gradient(3e38, 0, 0)] * 3)
        with pytest.raises(DivergedError, match=r"at step 1 \(learning rate 1\): the combined gradient is not finite"):
            server.aggregate()
        assert parameters(server) == [0, 0, 0]

    def test_an_update_that_makes_parameters_infinite(self) -> None:
        server = make_server(baseline(num_workers=1))
        self.played(server, [gradient(-3e38, 0, 0)])
        close(server)
        assert server.state.finite
        self.played(server, [gradient(-3e38, 0, 0)], step=2)
        with pytest.raises(DivergedError, match=r"last loss 0.5, .* the update has made parameters infinite"):
            close(server)
        assert (server.step, server.state.finite, blamed(server)) == (1, False, {})

    def test_large_parameters_whose_sum_overflows_are_finite(self) -> None:
        server = make_server(baseline(num_workers=1))
        self.played(server, [gradient(-3e38, -3e38, 0)])
        assert close(server).applied
        assert server.state.finite
