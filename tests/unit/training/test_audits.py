"""Files that the server computes itself: who is convicted, who votes in whose place, and what counts."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from event_driven_server import LAYOUT, TIMEOUT, Peers, further_votes, gradient, make_server

from byzshield.aggregation import TrimmedMean
from byzshield.arrays import Float32
from byzshield.errors import ComputationError, LostWorkersError, ParameterError, ServerFaultError
from byzshield.placement import Assignment, baseline, frc, mols
from byzshield.training import ParameterServer
from byzshield.training.audit import Audit, Conviction, Convictions
from byzshield.voting import Detection
from byzshield.wire import ArrayEncoder, Frame, Kind, messages

TRUE = gradient(1, 2, 3)
FALSE = gradient(-9, 2, 3)
THREE = baseline(num_workers=3)  # worker i holds file i
PAIRS = frc(num_workers=4, replication=2)  # workers 0 and 1 hold file 0, workers 2 and 3 file 1


class Computer:
    """Computes the true gradient of every file, and notes which it was asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, int]] = []

    def __call__(self, parameters: Float32, step: int, file: int) -> Float32:
        self.asked.append((step, file))
        return TRUE


def audit(computer: Any = None, **options: Any) -> Audit:
    return Audit(computer=computer or Computer(), **{"arbitrate": False, "rate": 0.0, **options})


def opened(assignment: Assignment, checks: Audit, **options: Any) -> Peers:
    peers = Peers(make_server(assignment, audit=checks, **options))
    peers.further = further_votes(peers.server.open_round(0.0))
    return peers


def work(peers: Peers, now: float = 0.0) -> list[tuple[int, int]]:
    """Lets the server compute all that it is to check; returns the votes that it asks for because of it."""
    asked = []
    while peers.server.busy:
        asked += further_votes(peers.server.work(now))
    return asked


def deliver(peers: Peers, worker: int, file: int, values: Float32, **more: Any) -> None:
    for provider, wanted, _ in peers.vote(worker, file, values, **more):
        peers.pay(provider, wanted, values, **more)


def convicted(server: ParameterServer) -> list[tuple[int, int, str]]:
    return [(proof.worker, proof.file, proof.evidence) for proof in server.take_convictions()]


def close(server: ParameterServer) -> Float32:
    """Closes the round; returns by what the parameters moved."""
    before = server.state.model.parameter_vector()
    server.take_convictions()
    server.close_round(server.aggregate())
    return before - server.state.model.parameter_vector()


class TestAFileThatIsDrawn:
    def test_counts_only_once_it_is_checked(self) -> None:
        computer = Computer()
        peers = opened(THREE, audit(computer, rate=1.0))
        for worker in range(3):
            deliver(peers, worker, worker, TRUE)
        assert not peers.server.round_done
        assert work(peers) == []
        assert peers.server.round_done
        assert computer.asked == [(1, 0), (1, 1), (1, 2)]
        assert convicted(peers.server) == []
        assert close(peers.server).tolist() == [1, 2, 3]

    def test_convicts_who_voted_otherwise_and_counts_as_the_server_computes_it(self) -> None:
        peers = opened(THREE, audit(rate=1.0))
        for worker, values in enumerate([TRUE, FALSE, TRUE]):
            deliver(peers, worker, worker, values)
        work(peers)
        assert convicted(peers.server) == [(1, 1, "audit")]
        assert peers.server.blame.count(1, "audit") == 1
        assert close(peers.server).tolist() == [1, 2, 3]

    def test_convicts_a_majority_and_no_honest_holder(self) -> None:
        peers = opened(frc(num_workers=3, replication=3), audit(rate=1.0))
        for worker, values in enumerate([FALSE, TRUE, FALSE]):
            deliver(peers, worker, 0, values)
        work(peers)
        assert convicted(peers.server) == [(0, 0, "audit"), (2, 0, "audit")]
        assert close(peers.server).tolist() == [1, 2, 3]

    def test_also_convicts_whose_vote_comes_after_the_check(self) -> None:
        peers = opened(mols(load=4, replication=3), audit(rate=1.0))
        holders = peers.server._assignment.workers_of[0].tolist()
        for worker in holders[:2]:
            deliver(peers, worker, 0, TRUE)
        work(peers)
        peers.vote(holders[2], 0, FALSE)
        assert [worker for worker, _, _ in convicted(peers.server)] == [holders[2]]

    def test_none_is_checked_at_rate_0(self) -> None:
        computer = Computer()
        peers = opened(THREE, audit(computer))
        for worker in range(3):
            deliver(peers, worker, worker, FALSE)
        assert peers.server.round_done
        assert computer.asked == []

    def test_is_drawn_anew_by_numbers_that_nobody_knows(self) -> None:
        checks = audit(rate=0.5)
        drawn = {tuple(checks.draws(1, file) for file in range(64)) for _ in range(4)}
        assert len(drawn) == 4
        assert all(16 < sum(draws) < 48 for draws in drawn)

    def test_is_the_same_one_with_a_seed(self) -> None:
        first, second, third = (
            [audit(rate=0.3, seed=seed).draws(step, file) for step in range(20) for file in range(20)] for seed in (1, 1, 2)
        )
        assert first == second != third
        assert 80 < sum(first) < 160


class TestAConvictedWorker:
    def test_is_replaced_in_the_files_that_it_had_decided(self) -> None:
        two_each = Assignment(scheme="two", files_of=np.arange(8).reshape(4, 2))
        computer = Computer()
        peers = opened(two_each, audit(computer, rate=0.5, seed=1))
        drawn = [file for file in range(8) if audit(rate=0.5, seed=1).draws(1, file)]
        liar = next(worker for worker in range(4) if len({2 * worker, 2 * worker + 1}.intersection(drawn)) == 1)
        for worker in range(4):
            for file in (2 * worker, 2 * worker + 1):
                deliver(peers, worker, file, FALSE if worker == liar else TRUE)
        ((stand_in, file),) = work(peers)
        assert stand_in != liar
        assert {file, computer.asked[-1][1]} | set(drawn) >= {2 * liar, 2 * liar + 1}
        assert not peers.server.round_done
        deliver(peers, stand_in, file, TRUE)
        work(peers)
        assert peers.server.round_done
        assert {file for _, file in computer.asked} == set(range(8))  # all of the step, since accomplices lie at the same time
        assert [worker for worker, _, _ in convicted(peers.server)] == [liar]
        assert close(peers.server).tolist() == [1, 2, 3]

    def test_has_no_vote_in_later_steps_and_is_not_waited_for(self) -> None:
        peers = opened(THREE, audit(rate=1.0))
        for worker, values in enumerate([TRUE, FALSE, TRUE]):
            deliver(peers, worker, worker, values)
        work(peers)
        close(peers.server)
        ((stand_in, file),) = further_votes(peers.server.open_round(1.0))
        assert (stand_in != 1, file) == (True, 1)
        deliver(peers, 1, 1, FALSE, step=2)  # is ignored
        for worker in (0, 2):
            deliver(peers, worker, worker, TRUE, step=2)
        deliver(peers, stand_in, 1, TRUE, step=2)
        work(peers)
        assert peers.server.round_done
        assert convicted(peers.server) == []
        assert peers.server.blame.report()["1"]["malformed"] == 0

    def test_goes_on_voting_if_nobody_is_expelled(self) -> None:
        peers = opened(THREE, audit(rate=1.0, expel=False))
        for worker, values in enumerate([TRUE, FALSE, TRUE]):
            deliver(peers, worker, worker, values)
        work(peers)
        assert convicted(peers.server) == [(1, 1, "audit")]
        close(peers.server)
        assert further_votes(peers.server.open_round(1.0)) == []

    def test_is_named_when_it_does_not_send_what_it_voted_for(self) -> None:
        peers = opened(THREE, audit(arbitrate=True))
        peers.vote(1, 1, TRUE)
        peers.pay(1, 1, FALSE)
        assert convicted(peers.server) == [(1, 1, "payload")]
        ((_, file),) = peers.further
        assert file == 1

    def test_is_not_convicted_by_a_server_that_computes_wrongly(self) -> None:
        answers = iter([FALSE, TRUE])
        peers = opened(THREE, audit(lambda *_: next(answers), rate=1.0))
        deliver(peers, 1, 1, TRUE)
        with pytest.raises(ServerFaultError, match="step 1, file 1: the server has computed two different gradients"):
            work(peers)
        assert convicted(peers.server) == []

    def test_comes_back_after_its_probation_and_once_only(self) -> None:
        convictions = Convictions(probation=2)
        proof = Conviction(step=1, file=0, worker=4, evidence="audit", committed=b"a", recomputed=b"b")
        convictions.add(proof)
        assert convictions.expelled == convictions.on_probation == {4}
        assert not convictions.serve(4, right=True)
        assert not convictions.serve(4, right=False)
        restored = Convictions(probation=2)
        restored.load_state_dict(convictions.state_dict())
        assert not restored.serve(4, right=True)
        assert restored.serve(4, right=True)
        assert restored.expelled == frozenset()
        restored.add(proof)
        assert restored.expelled == {4}
        assert restored.on_probation == frozenset()

    def test_serves_its_probation_by_votes_that_do_not_count(self) -> None:
        convictions = Convictions(probation=2)
        peers = opened(THREE, audit(rate=1.0), convictions=convictions)
        deliver(peers, 0, 0, FALSE)
        deliver(peers, 1, 1, TRUE)
        deliver(peers, 2, 2, TRUE)
        work(peers)
        close(peers.server)
        returned = []
        for step in (2, 3):
            ((stand_in, _),) = further_votes(peers.server.open_round(float(step)))
            for worker, file in ((0, 0), (stand_in, 0), (1, 1), (2, 2)):
                deliver(peers, worker, file, TRUE, step=step)
            work(peers)
            peers.server.take_convictions()
            returned += peers.server.close_round(peers.server.aggregate()).returned
        assert returned == [0]
        assert further_votes(peers.server.open_round(4.0)) == []


class TestARankWhoseWorkersAreExpelled:
    """Workers 0 and 1 are on rank 1, worker 2 on rank 2; each holds a file of its own."""

    def convict(self, *liars: int, **options: Any) -> ParameterServer:
        server = make_server(THREE, rank_of=[1, 1, 2], audit=audit(rate=1.0), **options)
        server.open_round(0.0)
        peers = Peers(server)
        for worker in range(3):
            values = FALSE if worker in liars else TRUE
            for _ in peers.send(messages.digests(worker, 1, worker, LAYOUT.digests(values)), source=server._rank_of[worker]):
                for frame in messages.gradient_chunks(worker, 1, worker, values, layout=LAYOUT, encoder=ArrayEncoder("off")):
                    peers.send(frame, source=server._rank_of[worker])
        work(peers)
        close(server)
        return server

    def sent(self, server: ParameterServer) -> list[tuple[int, Kind]]:
        return [(message.rank, Kind(message.tag)) for message in server.open_round(1.0)]

    def test_hears_of_each_step_and_gets_neither_parameters_nor_requests(self) -> None:
        server = self.convict(0, 1)
        for step in (2, 3):
            outgoing = server.open_round(float(step))
            sent = [(message.rank, Kind(message.tag)) for message in outgoing]
            assert sent[:3] == [(1, Kind.EXPELLED), (2, Kind.EXPELLED), (2, Kind.PARAMETERS)]
            assert set(sent[3:]) == {(2, Kind.COMPUTE)}
            assert messages.read_expelled(Frame.decode(outgoing[0].data, bounds={Kind.EXPELLED: 12})) == {0, 1}
        assert [server.blame.asked()[str(worker)]["votes"] for worker in range(2)] == [1, 1]
        assert [message.rank for message in server.stop()] == [1, 2]

    def test_gets_them_while_one_of_them_is_not(self) -> None:
        assert (1, Kind.PARAMETERS) in self.sent(self.convict(0))

    def test_gets_them_while_one_of_them_may_come_back(self) -> None:
        sent = self.sent(self.convict(0, 1, convictions=Convictions(probation=5)))
        assert [kind for rank, kind in sent if rank == 1] == [Kind.PARAMETERS]

    def test_is_told_again_after_a_rollback_and_after_a_resumption(self) -> None:
        server = self.convict(0, 1)
        state = server.state_dict()
        again = make_server(THREE, rank_of=[1, 1, 2], audit=audit(rate=1.0))
        again.load_state_dict(state)
        server.go_back(state, make_server(THREE).state)
        for one in (server, again):
            sent = self.sent(one)
            assert [kind for rank, kind in sent if rank == 1] == [Kind.EXPELLED]
            assert (2, Kind.PARAMETERS) in sent

    def test_votes_again_in_a_job_that_goes_on_without_audits(self) -> None:
        again = make_server(THREE, rank_of=[1, 1, 2])
        again.load_state_dict(self.convict(0, 1).state_dict())
        assert self.sent(again) == [(1, Kind.PARAMETERS), (2, Kind.PARAMETERS)]
        assert [again.blame.asked()[str(worker)]["steps"] for worker in range(3)] == [2, 2, 2]


class TestADisagreement:
    def test_is_settled_by_the_server_and_convicts_the_liar(self) -> None:
        peers = opened(PAIRS.arbitrated(), audit(arbitrate=True))
        for worker, file, values in ((0, 0, TRUE), (1, 0, FALSE), (2, 1, TRUE), (3, 1, TRUE)):
            deliver(peers, worker, file, values)
        work(peers)
        assert peers.server.round_done
        assert convicted(peers.server) == [(1, 0, "arbitration")]
        assert close(peers.server).tolist() == [1, 2, 3]

    def test_costs_one_computation_a_liar(self) -> None:
        computer = Computer()
        assignment = mols(load=4, replication=3).arbitrated()
        peers = opened(assignment, audit(computer, arbitrate=True))
        asked = []
        for file, workers in enumerate(assignment.workers_of.tolist()):
            for worker in workers:
                deliver(peers, worker, file, FALSE if worker == 0 else TRUE)
        asked = work(peers)
        assert len(computer.asked) == 2  # one file, computed twice before anybody is convicted
        assert [file for _, file in asked] == assignment.files_of[0].tolist()[1:]
        for worker, file in asked:
            deliver(peers, worker, file, TRUE)
        assert peers.server.round_done
        assert [worker for worker, _, _ in convicted(peers.server)] == [0]

    def test_does_not_decide_by_majority(self) -> None:
        peers = opened(frc(num_workers=3, replication=3).arbitrated(), audit(arbitrate=True))
        for worker, values in enumerate([FALSE, FALSE]):
            deliver(peers, worker, 0, values)
        assert not peers.server.round_done
        deliver(peers, 2, 0, TRUE)
        work(peers)
        assert [worker for worker, _, _ in convicted(peers.server)] == [0, 1]
        assert close(peers.server).tolist() == [1, 2, 3]


class TestAWorkerThatIsGone:
    def test_is_replaced_by_another_one(self) -> None:
        peers = opened(THREE, audit(rate=1.0))
        for worker in (0, 2):
            deliver(peers, worker, worker, TRUE)
        ((stand_in, file),) = further_votes(peers.server.lose(2, 1.0))
        assert file == 1
        deliver(peers, stand_in, 1, TRUE)
        work(peers)
        assert peers.server.round_done
        assert convicted(peers.server) == []
        assert close(peers.server).tolist() == [1, 2, 3]

    def test_is_replaced_by_the_server_if_there_is_nobody_else(self) -> None:
        peers = opened(PAIRS.arbitrated(), audit(arbitrate=True))
        for rank in (2, 3, 4):
            peers.server.lose(rank, 1.0)
        deliver(peers, 0, 0, TRUE)
        work(peers)
        assert peers.server.round_done
        assert close(peers.server).tolist() == [1, 2, 3]

    def test_ends_the_run_if_it_was_the_last(self) -> None:
        peers = opened(THREE, audit(rate=1.0))
        for rank in (1, 2, 3):
            peers.server.lose(rank, 1.0)
        work(peers)
        with pytest.raises(LostWorkersError, match="only 0 of 3 workers are left"):
            peers.server.aggregate()

    def test_and_is_silent_is_replaced_in_time_and_its_late_vote_is_no_fault(self) -> None:
        peers = opened(THREE, audit(rate=1.0))
        for worker in (0, 2):
            deliver(peers, worker, worker, TRUE)
        work(peers)
        asked: list[tuple[int, int]] = []
        while not asked:
            deadline = peers.server.next_deadline()
            assert deadline is not None
            assert deadline <= TIMEOUT
            asked = further_votes(peers.server.tick(deadline))
        deliver(peers, 1, 1, TRUE, now=TIMEOUT)
        ((stand_in, _),) = asked
        deliver(peers, stand_in, 1, TRUE, now=TIMEOUT)
        work(peers, TIMEOUT)
        assert peers.server.round_done
        assert peers.server.blame.count(1, "malformed") == 0
        assert peers.server.blame.count(1, "timeout") == 1

    @pytest.mark.parametrize("how", ["late", "give_up"])
    def test_is_who_was_waited_for_in_vain_and_not_who_was_merely_late(self, how: str) -> None:
        peers = opened(THREE, audit(rate=1.0))
        for worker in range(3):
            deliver(peers, worker, worker, TRUE)
        work(peers)
        close(peers.server)
        getattr(peers.server._pace, how)(1)
        asked = further_votes(peers.server.open_round(1.0))
        assert [file for _, file in asked] == ([] if how == "late" else [1])


class TestAWitness:
    def test_that_agrees_spares_the_server_the_work(self) -> None:
        computer = Computer()
        peers = opened(THREE, audit(computer, rate=1.0, by="workers", seed=1))
        deliver(peers, 0, 0, TRUE)
        ((witness, file),) = peers.further
        assert (witness != 0, file) == (True, 0)
        deliver(peers, witness, 0, TRUE)
        assert not peers.server.busy
        assert computer.asked == []

    def test_that_disagrees_calls_the_server_which_convicts_the_liar_of_the_two(self) -> None:
        for values, said, liar in ((FALSE, TRUE, 0), (TRUE, FALSE, None)):
            peers = opened(THREE, audit(rate=1.0, by="workers", seed=1))
            deliver(peers, 0, 0, values)
            ((witness, _),) = peers.further
            deliver(peers, witness, 0, said)
            work(peers)
            assert [worker for worker, _, _ in convicted(peers.server)] == [witness if liar is None else liar]

    def test_that_is_silent_is_replaced_by_the_server_and_is_late(self) -> None:
        peers = opened(THREE, audit(rate=1.0, by="workers", seed=1))
        deliver(peers, 0, 0, TRUE)
        ((witness, _),) = peers.further
        for worker in {1, 2}:
            deliver(peers, worker, worker, TRUE)
            peers.server._round._witnesses.pop(worker, None)  # type: ignore[union-attr]
        while not peers.server.busy:
            deadline = peers.server.next_deadline()
            assert deadline is not None
            peers.server.tick(deadline)
        work(peers)
        assert peers.server.blame.count(witness, "timeout") == 1

    def test_that_is_lost_is_replaced_by_the_server(self) -> None:
        computer = Computer()
        peers = opened(THREE, audit(computer, rate=1.0, by="workers", seed=1))
        deliver(peers, 0, 0, TRUE)
        ((witness, _),) = peers.further
        peers.server.lose(witness + 1, 1.0)
        work(peers)
        assert computer.asked == [(1, 0)]


NAN = np.full(4, np.nan, dtype=np.float32)
TWO_SAMPLES = {0: (10, 11), 1: (12, 13), 2: (14, 15)}


class Unreadable(Computer):
    """Cannot compute one file."""

    def __init__(self, file: int = 0) -> None:
        super().__init__()
        self.file = file

    def __call__(self, parameters: Float32, step: int, file: int) -> Float32:
        vector = super().__call__(parameters, step, file)
        if file == self.file:
            raise ComputationError(f"file {file} of step {step} cannot be computed: a sample cannot be read")
        return vector


def of_two_samples(computer: Any, **options: Any) -> Audit:
    return audit(computer, samples=lambda step, file: TWO_SAMPLES[file], **options)


class TestAFileThatTheServerCannotCompute:
    @pytest.mark.parametrize("by", ["server", "workers"])
    @pytest.mark.parametrize("claimed", [NAN, TRUE, FALSE], ids=["honest", "read by one alone", "a lie"])
    def test_is_left_out_and_convicts_nobody(self, claimed: Float32, by: str) -> None:
        peers = opened(THREE, of_two_samples(Unreadable(), rate=1.0, by=by, seed=1), rule=TrimmedMean(1))
        for worker, values in enumerate([claimed, TRUE, TRUE]):
            deliver(peers, worker, worker, values)
        for worker, file in peers.further:  # the witnesses, if they are asked
            deliver(peers, worker, file, TRUE if file else NAN)
        work(peers)
        assert peers.server.round_done
        assert convicted(peers.server) == []
        assert peers.server.blame.count(0, "audit") == 0
        assert close(peers.server).tolist() == [1, 2, 3]

    def test_convicts_nobody_whose_vote_comes_after_the_check(self) -> None:
        peers = opened(mols(load=4, replication=3), of_two_samples(Unreadable(), rate=1.0))
        holders = peers.server._assignment.workers_of[0].tolist()
        for worker in holders[:2]:
            deliver(peers, worker, 0, NAN)
        work(peers)
        peers.vote(holders[2], 0, TRUE)
        assert convicted(peers.server) == []
        assert peers.server.blame.count(holders[2], "minority") == 1

    def test_is_left_out_where_copies_disagree(self) -> None:
        peers = opened(PAIRS.arbitrated(), of_two_samples(Unreadable(), arbitrate=True), rule=TrimmedMean(0))
        for worker, file, values in ((0, 0, NAN), (1, 0, FALSE), (2, 1, TRUE), (3, 1, FALSE)):
            deliver(peers, worker, file, values)
        work(peers)
        assert peers.server.round_done
        assert convicted(peers.server) == [(3, 1, "arbitration")]
        assert np.isnan(peers.server._combiner.matrix[0]).all()

    def test_has_its_samples_checked_for_certain_until_they_are_read(self) -> None:
        computer, samples = (
            Unreadable(),
            {1: {0: (10, 11), 1: (12, 13)}, 2: {0: (12, 10), 1: (11, 13)}, 3: {0: (11, 13), 1: (10, 12)}},
        )
        checks = audit(computer, idle=True, seed=1, samples=lambda step, file: samples[step][file])
        with pytest.raises(ComputationError):
            checks.compute(NAN, 1, 0)
        assert [checks.distrusts(2, file) for file in (0, 1)] == [True, True]
        checks.compute(NAN, 2, 1)
        assert [checks.distrusts(3, file) for file in (0, 1)] == [False, True]

    @pytest.mark.parametrize("options", [{"idle": True}, {"rate": 1e-9}, {"arbitrate": True}, {"rate": 1e-9, "by": "workers"}])
    def test_is_no_place_to_lie_in_once_its_sample_is_known(self, options: dict[str, Any]) -> None:
        checks = of_two_samples(Unreadable(), **options)
        checks.suspects.add(11)
        peers = opened(THREE, checks, rule=TrimmedMean(1))
        for worker, values in enumerate([FALSE, TRUE, TRUE]):
            deliver(peers, worker, worker, values)
        assert peers.server.busy
        work(peers)
        assert close(peers.server).tolist() == [1, 2, 3]

    def test_convicts_nobody_in_idle_time(self) -> None:
        checks = of_two_samples(Unreadable(), idle=True)
        peers = opened(THREE, checks)
        for worker, values in enumerate([FALSE, TRUE, TRUE]):
            deliver(peers, worker, worker, values)
        close(peers.server)
        for _ in range(3):
            peers.server.check_past(1.0)
        assert convicted(peers.server) == []
        assert checks.suspects == {10, 11}

    def test_is_remembered_by_checkpoints(self) -> None:
        before, after = of_two_samples(Unreadable(), rate=0.5), of_two_samples(Unreadable(), rate=0.5)
        before.suspects.add(11)
        state = opened(THREE, before).server.state_dict()
        make_server(THREE, audit=after).load_state_dict(state)
        assert after.distrusts(1, 0)

    def test_takes_no_clean_step_from_who_is_on_probation(self) -> None:
        convictions = Convictions(probation=1)
        convictions.add(Conviction(step=0, file=0, worker=0, evidence="audit", committed=b""))
        peers = opened(
            Assignment(scheme="two", files_of=np.arange(4).reshape(2, 2)),
            audit(Unreadable(), rate=1.0),
            convictions=convictions,
            rule=TrimmedMean(1),
        )
        for worker, file in ((0, 0), (0, 1), (1, 0), (1, 1), (1, 2), (1, 3)):
            deliver(peers, worker, file, NAN if (worker, file) == (1, 0) else TRUE)
        work(peers)
        peers.server.take_convictions()
        assert peers.server.close_round(peers.server.aggregate()).returned == (0,)


class TestIdleTime:
    def test_is_for_files_of_the_step_before_and_a_lie_counts_once(self) -> None:
        computer = Computer()
        peers = opened(THREE, audit(computer, idle=True, seed=1))
        for worker, values in enumerate([TRUE, FALSE, TRUE]):
            deliver(peers, worker, worker, values)
        assert peers.server.round_done
        assert not peers.server.idle_checks
        assert close(peers.server).tolist() != [1, 2, 3]
        found: list[tuple[int, int, str]] = []
        for step in range(2, 20):
            asked = further_votes(peers.server.open_round(float(step)))
            assert peers.server.idle_checks == 1  # as many as a worker computes in a step
            asked += further_votes(peers.server.check_past(float(step)))
            assert not peers.server.idle_checks
            votes = [(worker, worker, FALSE if worker == 1 else TRUE) for worker in range(3)]
            for worker, file, values in [*votes, *((worker, file, TRUE) for worker, file in asked)]:
                if (worker, file) != (1, 1) or 1 not in peers.server.convictions.expelled:
                    deliver(peers, worker, file, values, step=step)
            found = convicted(peers.server)
            moved = close(peers.server)
            if found:
                break
        assert found == [(1, 1, "audit")]
        assert moved.tolist() == [1, 2, 3]  # the step in which it is found out counts without it
        assert all(asked_step == step or asked_step < step for asked_step, _ in computer.asked)


def test_a_false_vote_after_the_end_of_a_step_convicts_and_reopens_no_file_of_it() -> None:
    # Workers 0 and 4 hold file 0 with the honest worker 8, and worker 9 would stand in for worker 0. All three wait with votes.
    grid, wanted, last = mols(load=4, replication=3), 5, 0

    class OfOneFile(Audit):
        def draws(self, step: int, file: int) -> bool:
            return (step, file) == (1, wanted)

        def shuffled(self, number: int, step: int) -> list[int]:
            return list(range(number))[:: 1 if step == 1 else -1]  # its last file is checked for its length, in step 2 file 0

    def play(step: int, values: Float32) -> None:
        peers.server.open_round(0.0)
        for file, holders in enumerate(grid.workers_of.tolist()):
            prompt = [worker for worker in holders if (worker, file) not in {(0, wanted), (4, last)}]
            for worker in prompt[:2]:
                deliver(peers, worker, file, values, step=step)
        work(peers)
        assert peers.server.round_done

    later = gradient(4, 5, 6)
    checks = OfOneFile(computer=lambda parameters, step, file: TRUE if step == 1 else later, arbitrate=True, rate=0.01)
    peers = Peers(make_server(grid, audit=checks))
    play(1, TRUE)
    close(peers.server)
    play(2, later)
    assert peers.vote(0, wanted, FALSE) == []
    for worker in (4, 9):
        for provider, file, _ in peers.vote(worker, last, FALSE):
            peers.pay(provider, file, FALSE)
    work(peers)
    assert convicted(peers.server) == [(0, wanted, "arbitration")]
    assert peers.server.convictions.expelled == {0}
    assert close(peers.server).tolist() == [4, 5, 6]


def test_what_is_still_under_way_when_the_server_goes_back_is_dropped_and_nobody_is_blamed() -> None:
    peers = opened(THREE, audit(rate=1.0))
    before = peers.server.state_dict()
    for worker in range(3):
        deliver(peers, worker, worker, TRUE)
    work(peers)
    close(peers.server)
    fresh = make_server(THREE).state
    peers.server.go_back(before, fresh)
    assert (peers.server.step, peers.server.attempt) == (0, 1)
    peers.server.open_round(2.0)
    peers.vote(1, 1, FALSE)  # of the first attempt
    assert peers.server.blame.report() == {}
    assert not peers.server.ballots[1].votes


def test_the_future_is_refused_whether_step_or_attempt() -> None:
    peers = opened(THREE, audit(rate=1.0))
    peers.send(replace(messages.digests(1, 1, 1, LAYOUT.digests(TRUE)), attempt=1))
    assert peers.server.blame.count(1, "malformed") == 1


def test_audits_need_single_files_and_the_plain_vote() -> None:
    for options in ({"exchange": "coded"}, {"detection": Detection(1)}):
        with pytest.raises(ParameterError, match="only with the plain vote"):
            make_server(THREE, audit=audit(rate=1.0), **options)
