"""The workers of a rank, event by event: what they compute, vote for and deliver, alone and with accomplices."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from byzshield.arrays import Float32
from byzshield.attacks import ALIE as ALIEAttack
from byzshield.attacks import ReversedGradient, Situation
from byzshield.config import RunConfig
from byzshield.errors import FrameError
from byzshield.placement import Assignment, frc, mols, ramanujan2
from byzshield.runtime import Builder, simulate
from byzshield.training import GradientComputer, ParameterServer
from byzshield.training.turns import postponed
from byzshield.wire import ArrayEncoder, ChunkLayout, Frame, Kind, Message, Packet, messages

Maker = Callable[..., RunConfig]


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> Counter[tuple[int, int]]:
    """Counts how often each (step, file) is computed."""
    counts: Counter[tuple[int, int]] = Counter()
    compute = GradientComputer.__call__

    def counting(self: GradientComputer, step: int, file: int, *poison: Any) -> Any:
        counts[step, file] += 1
        return compute(self, step, file, *poison)

    monkeypatch.setattr(GradientComputer, "__call__", counting)
    return counts


def test_workers_on_one_rank_compute_a_shared_file_once(tiny_run: Maker, computed: Counter[tuple[int, int]]) -> None:
    simulate(tiny_run(attack={"name": "alie", "num_byzantine": 3}), num_ranks=2)
    assert set(computed.values()) == {1}
    assert len(computed) == 4 * 25


@pytest.mark.parametrize(
    "assignment",
    [
        mols(load=5, replication=3),
        mols(load=7, replication=5),
        ramanujan2(m=10, replication=5),
        frc(num_workers=9, replication=3),
    ],
    ids=lambda assignment: assignment.scheme,
)
def test_every_file_is_decided_before_the_postponed_ones_are_computed(assignment: Assignment) -> None:
    late = postponed(assignment)
    first = Counter(
        file for worker in range(assignment.num_workers) for file in assignment.files_of[worker] if (worker, file) not in late
    )
    assert set(first.values()) == {assignment.majority}
    per_worker = Counter(worker for worker, _ in late)
    even = assignment.load * (assignment.replication - assignment.majority) / assignment.replication
    assert all(abs(per_worker[worker] - even) <= 1 for worker in range(assignment.num_workers))


def test_requests_for_payloads_are_spread(tiny_run: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: Counter[int] = Counter()
    receive = ParameterServer.receive

    def counting(self: ParameterServer, packet: Packet, now: float) -> list[Message]:
        answer = receive(self, packet, now)
        asked.update(message.rank for message in answer if message.tag == Kind.FETCH)  # one worker a rank
        return answer

    monkeypatch.setattr(ParameterServer, "receive", counting)
    simulate(tiny_run(run={"steps": 1}), num_ranks=16)
    assert sum(asked.values()) == 25
    assert max(asked.values()) <= 3  # the even share is 25 / 15


OFF = ArrayEncoder("off")
ALIE = {"name": "alie", "z": 1.5, "num_byzantine": 3, "selection": "fixed", "workers": [0, 5, 11]}
ASKED = 10  # votes of these three workers that need no request


class Rank:
    """A rank's real workers, handed messages one by one; by default one worker a rank."""

    def __init__(self, builder: Builder, rank: int) -> None:
        self.builder = builder
        self.worker = builder.worker(rank)
        self.layout = ChunkLayout(builder.computer.size, builder.config.cluster.chunk_elements)
        self.parameters = builder.model().parameter_vector()

    @classmethod
    def of(cls, config: RunConfig, rank: int, num_ranks: int = 16) -> "Rank":
        return cls(Builder(config, num_ranks=num_ranks), rank)

    def receive(self, frame: Frame) -> list[Frame]:
        return self.sent(self.worker.receive(packet(frame.to(1), source=0)) + self.deliver())

    def begin(self, step: int, *, attempt: int = 0, shifted: float = 0.0) -> None:
        news = messages.parameters(step, self.parameters + np.float32(shifted), OFF)
        assert self.receive(replace(news, attempt=attempt)) == []

    def work(self) -> list[Frame]:
        return self.sent(self.worker.work() + self.deliver())

    def deliver(self) -> list[Message]:
        outgoing: list[Message] = []
        while self.worker.in_debt:
            outgoing += self.worker.deliver()
        return outgoing

    def work_all(self) -> list[Frame]:
        frames: list[Frame] = []
        while self.worker.busy:
            frames += self.work()
        return frames

    def postponed(self, worker: int) -> list[int]:
        return sorted(file for other, file in postponed(self.builder.assignment) if other == worker)

    def truth(self, step: int, file: int) -> Float32:
        return Builder(self.builder.config).computer(step, file)

    def sent(self, outgoing: list[Message]) -> list[Frame]:
        accepts = messages.accepted_by_server(self.layout)
        assert {message.rank for message in outgoing} <= {0}
        return [accepts.open(packet(message, source=1)) for message in outgoing]

    def vector(self, chunks: list[Frame]) -> Float32:
        values = np.full(self.layout.size, np.nan, dtype=np.float32)
        for chunk in chunks:
            messages.read_vector(chunk, values[self.layout.slice(chunk.chunk)])
        return values


def packet(message: Message, source: int) -> Packet:
    return Packet(source=source, tag=message.tag, data=message.data, num_bytes=len(message.data))


def votes(frames: list[Frame]) -> dict[tuple[int, int], bytes]:
    """(worker, file) -> digests, of the votes among frames."""
    return {(frame.worker, frame.file): bytes(frame.payload) for frame in frames if frame.kind is Kind.DIGESTS}


def alie_of(rows: Float32) -> Float32:
    """What the accomplices send for each file: one vector forged from the gradients of all files, and the file's own loss."""
    situation = Situation(step=1, num_rows=25, num_corrupted=3, rng=np.random.default_rng(0))
    forged = ALIEAttack(z=1.5).forge(rows[:, :-1], situation)
    return np.concatenate([np.broadcast_to(forged, rows[:, :-1].shape), rows[:, -1:]], axis=1)


def doubled(vector: Float32) -> Float32:
    """A gradient reversed and doubled, with its true loss."""
    return np.concatenate([-2 * vector[:-1], vector[-1:]])


class TestAnHonestWorker:
    def test_where_all_votes_count_it_votes_on_each_of_its_files_once_the_urgent_ones_first(self, tiny_run: Maker) -> None:
        rank = Rank.of(tiny_run(vote={"name": "aspis", "num_byzantine": 1}), 3)
        assert not rank.worker.busy
        rank.begin(1)
        frames = rank.work_all()
        files = [frame.file for frame in frames]
        assert sorted(files) == rank.builder.assignment.files_of[2].tolist()
        late = rank.postponed(2)
        assert set(files[-len(late) :]) == set(late)
        assert votes(frames) == {(2, file): rank.layout.digests(rank.truth(1, file)) for file in files}

    def test_it_leaves_out_its_postponed_files(self, tiny_run: Maker, computed: Counter[tuple[int, int]]) -> None:
        rank = Rank.of(tiny_run(), 3)
        rank.begin(1)
        files = rank.builder.assignment.files_of[2].tolist()
        first = set(files) - set(rank.postponed(2))
        assert votes(rank.work_all()).keys() == {(2, file) for file in first}
        assert set(computed) == {(1, file) for file in first}

    def test_it_serves_what_it_has_computed_in_this_step_and_nothing_else(self, tiny_run: Maker) -> None:
        rank = Rank.of(tiny_run(), 3)
        rank.begin(1)
        (vote,) = rank.work()
        chunks = rank.receive(messages.fetch(2, 1, vote.file))
        assert [chunk.chunk for chunk in chunks] == list(range(rank.layout.num_chunks))
        assert rank.vector(chunks).tobytes() == rank.truth(1, vote.file).tobytes()
        assert [chunk.chunk for chunk in rank.receive(messages.fetch(2, 1, vote.file, 2))] == [2]
        (other,) = set(rank.builder.assignment.files_of[2].tolist()[:2]) - {vote.file} or {None}
        assert rank.receive(messages.fetch(2, 1, other or 0)) == []  # not computed yet
        assert rank.receive(messages.fetch(2, 2, vote.file)) == []  # another step
        assert rank.receive(messages.fetch(3, 1, vote.file)) == []  # a worker of another rank

    def test_new_parameters_end_the_step_before(self, tiny_run: Maker) -> None:
        rank = Rank.of(tiny_run(), 3)
        rank.begin(1)
        (vote,) = rank.work()
        rank.begin(5)
        assert rank.receive(messages.fetch(2, 1, vote.file)) == []
        assert rank.receive(messages.fetch(2, 5, vote.file)) == []
        frames = rank.work_all()
        assert {frame.step for frame in frames} == {5}
        assert len(frames) == 5 - len(rank.postponed(2))

    def test_each_vote_says_how_long_the_rank_has_computed_in_this_step(self, tiny_run: Maker) -> None:
        rank = Rank.of(tiny_run(), 3)
        rank.begin(1)
        frames = rank.work_all()
        spent = [frame.compute_us for frame in frames]
        assert spent == sorted(spent)
        assert 0 < spent[0] < spent[-1]
        assert spent[-1] == round(1e6 * rank.builder.computer.seconds)
        before = rank.builder.computer.seconds
        rank.begin(2)
        assert rank.work()[0].compute_us == round(1e6 * (rank.builder.computer.seconds - before))

    def test_after_the_stop_it_computes_no_more(self, tiny_run: Maker) -> None:
        rank = Rank.of(tiny_run(), 3)
        rank.begin(1)
        rank.receive(messages.stop())
        assert rank.worker.stopped
        assert not rank.worker.busy

    def test_workers_on_one_rank_vote_for_themselves(self, tiny_run: Maker) -> None:
        rank = Rank.of(tiny_run(), 1, num_ranks=2)
        rank.begin(1)
        frames = rank.work_all()
        assert len(votes(frames)) == len(frames) == 25 * 2
        for file in range(25):
            assert len({digests for (_, voted), digests in votes(frames).items() if voted == file}) == 1

    def test_in_the_full_exchange_it_sends_every_chunk(self, tiny_run: Maker) -> None:
        rank = Rank.of(tiny_run(cluster={"exchange": "full"}), 3)
        rank.begin(1)
        frames = rank.work()
        assert {frame.kind for frame in frames} == {Kind.GRADIENT}
        assert rank.vector(frames).tobytes() == rank.truth(1, frames[0].file).tobytes()

    @pytest.mark.parametrize(
        "wrong",
        [
            pytest.param(messages.digests(2, 1, 0, bytes(32)).to(1), id="a kind that a server does not send"),
            pytest.param(Message(rank=1, tag=Kind.FETCH, data=messages.stop().encoded), id="another kind's tag"),
            pytest.param(Message(rank=1, tag=Kind.STOP, data=b"garbage"), id="no frame"),
            pytest.param(messages.parameters(1, np.zeros(3, np.float32), OFF).to(1), id="parameters of another model"),
        ],
    )
    def test_a_server_that_sends_nonsense_ends_the_job(self, tiny_run: Maker, wrong: Message) -> None:
        rank = Rank.of(tiny_run(), 3)
        with pytest.raises(FrameError):
            rank.worker.receive(packet(wrong, source=0))


class TestAnExpelledWorker:
    def test_on_a_rank_of_its_own_drops_what_it_does_and_still_hears_the_stop(self, tiny_run: Maker) -> None:
        rank = Rank.of(tiny_run(cluster={"exchange": "full"}), 3)
        rank.begin(1)
        rank.worker.work()
        assert rank.worker.busy
        assert rank.worker.in_debt
        assert rank.receive(messages.expelled([2, 7])) == []
        assert not rank.worker.busy
        assert not rank.worker.in_debt
        rank.receive(messages.stop())
        assert rank.worker.stopped

    def test_beside_others_computes_nothing_more_than_they_need(self, tiny_run: Maker) -> None:
        rank = Rank.of(tiny_run(cluster={"exchange": "full"}), 1, num_ranks=4)
        assert rank.worker.workers == (0, 1, 2, 3, 4)
        rank.receive(messages.expelled([0, 2, 3, 4, 9]))
        for step in (1, 2):
            rank.begin(step)
            files = rank.builder.assignment.files_of[1].tolist()
            assert sorted({(frame.worker, frame.file) for frame in rank.work_all()}) == [(1, file) for file in files]
        assert rank.worker._computed == 2 * 5

    def test_goes_on_with_the_step_that_is_under_way_unless_all_here_are_expelled(self, tiny_run: Maker) -> None:
        rank = Rank.of(tiny_run(cluster={"exchange": "full"}), 1, num_ranks=4)
        rank.begin(1)
        rank.receive(messages.expelled([0]))
        assert {frame.worker for frame in rank.work_all()} == {0, 1, 2, 3, 4}

    @pytest.mark.parametrize("wrong", [b"123", b"1" * 64], ids=["no number", "more than there are workers"])
    def test_is_not_told_so_by_nonsense(self, tiny_run: Maker, wrong: bytes) -> None:
        with pytest.raises(FrameError):
            Rank.of(tiny_run(), 3).receive(Frame(kind=Kind.EXPELLED, count=len(wrong), payload=wrong))


class TestARequestToVote:
    def test_a_postponed_file_is_computed_behind_the_others_and_voted_on(self, tiny_run: Maker) -> None:
        rank = Rank.of(tiny_run(), 3)
        rank.begin(1)
        file = rank.postponed(2)[0]
        assert rank.receive(messages.compute(2, 1, file)) == []
        frames = rank.work_all()
        assert (frames[-1].worker, frames[-1].file) == (2, file)
        assert votes(frames)[2, file] == rank.layout.digests(rank.truth(1, file))
        assert frames[-1].gradients == len(frames)

    def test_a_payload_is_sent_between_two_files(self, tiny_run: Maker) -> None:
        rank = Rank.of(tiny_run(), 3)
        rank.begin(1)
        (vote,) = rank.work()
        rank.receive(messages.compute(2, 1, rank.postponed(2)[0]))
        assert rank.worker.busy
        assert rank.vector(rank.receive(messages.fetch(2, 1, vote.file))).tobytes() == rank.truth(1, vote.file).tobytes()

    def test_what_is_there_is_not_computed_again(self, tiny_run: Maker, computed: Counter[tuple[int, int]]) -> None:
        rank = Rank.of(tiny_run(), 1, num_ranks=2)  # all workers
        rank.begin(1)
        first = votes(rank.work_all())
        later = {}
        for worker, file in sorted(postponed(rank.builder.assignment)):
            later |= votes(rank.receive(messages.compute(worker, 1, file)))
        assert not rank.worker.busy
        assert len(first | later) == 15 * 5
        assert set(computed.values()) == {1}
        assert all(digests in first.values() for digests in later.values())

    @pytest.mark.parametrize(
        ("worker", "step", "attempt", "file"),
        [(2, 2, 0, None), (3, 1, 0, None), (2, 1, 1, None), (2, 1, 0, 25)],
        ids=["step", "worker", "attempt", "file"],
    )
    def test_a_request_out_of_place_is_ignored(
        self, tiny_run: Maker, worker: int, step: int, attempt: int, file: int | None
    ) -> None:
        rank = Rank.of(tiny_run(), 3)
        rank.begin(1)
        rank.work_all()
        asked = rank.postponed(2)[0] if file is None else file
        assert rank.receive(replace(messages.compute(worker, step, asked), attempt=attempt)) == []
        assert not rank.worker.busy

    def test_also_for_a_file_of_others_is_answered(self, tiny_run: Maker) -> None:
        rank = Rank.of(tiny_run(), 3)
        rank.begin(1)
        rank.work_all()
        other = min(set(range(25)) - set(rank.builder.assignment.files_of[2].tolist()))
        rank.receive(messages.compute(2, 1, other))
        assert votes(rank.work_all()).keys() == {(2, other)}

    def test_new_parameters_end_it(self, tiny_run: Maker) -> None:
        rank = Rank.of(tiny_run(), 3)
        rank.begin(1)
        file = rank.postponed(2)[0]
        rank.receive(messages.compute(2, 1, file))
        rank.begin(2)
        assert file not in {frame.file for frame in rank.work_all()}

    def test_a_local_attack_forges_it_once_it_is_computed(self, tiny_run: Maker) -> None:
        attack = {"name": "reversed_gradient", "scale": 2.0, "num_byzantine": 1, "selection": "fixed", "workers": [2]}
        rank = Rank.of(tiny_run(attack=attack), 3)
        rank.begin(1)
        rank.work_all()
        file = rank.postponed(2)[0]
        assert rank.receive(messages.compute(2, 1, file)) == []
        assert votes(rank.work_all()) == {(2, file): rank.layout.digests(doubled(rank.truth(1, file)))}

    def test_an_honest_worker_computes_again_what_was_computed_for_a_byzantine_one(self, tiny_run: Maker) -> None:
        attack = {"name": "reversed_gradient", "num_byzantine": 1, "selection": "fixed", "workers": [0]}
        builder = Builder(tiny_run(attack=attack))
        late = postponed(builder.assignment)
        file = next(file for file in builder.assignment.files_of[0].tolist() if (0, file) not in late)
        neighbor = next(worker for worker, other in sorted(late) if other == file)
        rank = Rank.of(tiny_run(attack=attack), 1, num_ranks=16)
        rank.worker.workers = (0, neighbor)  # of which only the Byzantine one votes on the file at first
        rank.begin(1)
        rank.work_all()
        rank.receive(messages.compute(neighbor, 1, file))
        cast = votes(rank.work_all())
        assert cast == {(neighbor, file): rank.layout.digests(rank.truth(1, file))}


class TestALocalAttack:
    def test_it_votes_for_what_it_forges_and_delivers_that(self, tiny_run: Maker) -> None:
        attack = {"name": "reversed_gradient", "scale": 2.0, "num_byzantine": 1, "selection": "fixed", "workers": [2]}
        rank = Rank.of(tiny_run(attack=attack), 3)
        rank.begin(1)
        frames = rank.work_all()
        assert len(frames) == 5 - len(rank.postponed(2))
        assert votes(frames) == {(2, frame.file): rank.layout.digests(doubled(rank.truth(1, frame.file))) for frame in frames}
        chunks = rank.receive(messages.fetch(2, 1, frames[0].file))
        assert rank.vector(chunks).tobytes() == doubled(rank.truth(1, frames[0].file)).tobytes()

    def test_an_honest_worker_on_the_same_rank_stays_honest(self, tiny_run: Maker) -> None:
        attack = {"name": "reversed_gradient", "num_byzantine": 1, "selection": "fixed", "workers": [0]}
        rank = Rank.of(tiny_run(attack=attack), 1, num_ranks=2)
        rank.begin(1)
        cast = votes(rank.work_all())
        file = next(voted for worker, voted in cast if worker == 0)
        others = [worker for worker, voted in cast if voted == file and worker != 0]
        assert len(others) == 1
        assert {cast[worker, file] for worker in others} == {rank.layout.digests(rank.truth(1, file))}
        assert cast[0, file] != cast[others[0], file]

    def test_it_forges_the_files_of_its_own_workers_alone(self, tiny_run: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
        attack = {"name": "reversed_gradient", "num_byzantine": 1, "selection": "fixed", "workers": [0]}
        rank = Rank.of(tiny_run(attack=attack), 1, num_ranks=2)
        forged, forge = [], ReversedGradient.forge
        monkeypatch.setattr(ReversedGradient, "forge", lambda *arguments: forged.append(None) or forge(*arguments))
        rank.begin(1)
        rank.work_all()
        assert len(forged) == rank.builder.assignment.load


class TestCollusion:
    """Workers 0, 5 and 11, each on a rank of its own (1, 6 and 12); rank 1 leads."""

    RANKS = (1, 6, 12)

    def test_they_vote_on_a_postponed_file_at_once_when_they_have_forged(self, tiny_run: Maker) -> None:
        ranks = self.accomplices(tiny_run(attack=ALIE))
        for rank in ranks.values():
            rank.begin(1)
            rank.work_all()
        file = ranks[6].postponed(5)[0]
        assert ranks[6].receive(messages.compute(5, 1, file)) == []
        cast = votes(self.exchange(ranks))
        assert len(cast) == ASKED + 1
        late = ranks[12].postponed(11)[0]
        cast |= votes(ranks[12].receive(messages.compute(11, 1, late)))
        forged = alie_of(np.stack([ranks[1].truth(1, known) for known in range(25)]))
        for worker, known in ((5, file), (11, late)):
            assert cast[worker, known] == ranks[1].layout.digests(forged[known])
        assert not ranks[12].worker.busy

    def accomplices(self, config: RunConfig) -> dict[int, Rank]:
        return {rank: Rank.of(config, rank) for rank in self.RANKS}

    def accomplices_whose_leader_has_their_gradients(self, config: RunConfig) -> dict[int, Rank]:
        ranks = self.accomplices(config)
        for rank in ranks.values():
            rank.begin(1)
        for number in (6, 12):
            for message in self.outbox_after_work(ranks[number]):
                ranks[1].worker.receive_from_accomplice(packet(message, source=number))
        return ranks

    def exchange(self, ranks: dict[int, Rank]) -> list[Frame]:
        """Delivers what accomplices have for each other until nothing is left; returns what they send to the server."""
        frames = []
        while any(rank.worker.adversary.outbox for rank in ranks.values()):  # type: ignore[union-attr]
            for source, rank in ranks.items():
                adversary = rank.worker.adversary
                assert adversary is not None
                outbox, adversary.outbox = adversary.outbox, []
                for message in outbox:
                    target = ranks[message.rank]
                    frames += target.sent(target.worker.receive_from_accomplice(packet(message, source)))
        return frames

    def test_all_send_one_vector_for_every_file_once_the_leader_knows_all_gradients(self, tiny_run: Maker) -> None:
        ranks = self.accomplices(tiny_run(attack=ALIE))
        frames = []
        for rank in ranks.values():
            rank.begin(1)
            frames += rank.work_all()
        frames += self.exchange(ranks)
        cast = votes(frames)
        assert len(cast) == len(frames) == ASKED
        rows = np.stack([ranks[1].truth(1, file) for file in range(25)])
        forged = alie_of(rows)
        assert cast == {(worker, file): ranks[1].layout.digests(forged[file]) for worker, file in cast}
        for worker, rank in ((0, 1), (5, 6), (11, 12)):
            file = int(ranks[rank].builder.assignment.files_of[worker][0])
            assert ranks[rank].vector(ranks[rank].receive(messages.fetch(worker, 1, file))).tobytes() == forged[file].tobytes()

    def test_with_own_knowledge_they_forge_from_the_files_that_they_were_given(self, tiny_run: Maker) -> None:
        ranks = self.accomplices(tiny_run(attack={**ALIE, "knowledge": "own"}))
        given = sorted({file for worker in (0, 5, 11) for file in ranks[1].builder.assignment.files_of[worker].tolist()})
        assert len(given) == 12  # three pairs of them share a file
        frames = []
        for rank in ranks.values():
            rank.begin(1)
            frames += rank.work_all()
        cast = votes(frames + self.exchange(ranks))
        forged = dict(zip(given, alie_of(np.stack([ranks[1].truth(1, file) for file in given])), strict=True))
        assert cast == {(worker, file): ranks[1].layout.digests(forged[file]) for worker, file in cast}
        assert len(cast) == ASKED

    @pytest.mark.parametrize("knowledge", ["own", "omniscient"])
    def test_those_who_are_left_send_the_same_when_their_leader_is_expelled(self, tiny_run: Maker, knowledge: str) -> None:
        cast = []
        for gone in ([], [0]):
            ranks = self.accomplices(tiny_run(attack={**ALIE, "knowledge": knowledge}))
            frames = []
            for number, rank in ranks.items():
                if number == 1 and gone:
                    continue
                rank.receive(messages.expelled(gone))
                rank.begin(1)
                frames += rank.work_all()
            cast.append(votes(frames + self.exchange(ranks)))
        before, after = cast
        assert after == {(worker, file): vote for (worker, file), vote in before.items() if worker != 0}
        assert after

    def test_what_was_forged_for_one_step_is_not_sent_in_the_next(self, tiny_run: Maker) -> None:
        ranks = self.accomplices(tiny_run(attack=ALIE))
        for rank in ranks.values():
            rank.begin(1)
            rank.work_all()
        assert len(votes(self.exchange(ranks))) == ASKED
        for rank in ranks.values():
            rank.begin(2)
            assert votes(rank.work_all()) == {}
        assert len(votes(self.exchange(ranks))) == ASKED

    def test_nobody_votes_while_an_accomplice_is_missing(self, tiny_run: Maker) -> None:
        ranks = self.accomplices(tiny_run(attack=ALIE))
        for number in (1, 6):
            ranks[number].begin(1)
            assert votes(ranks[number].work_all()) == {}
        ranks[12].begin(1)
        ranks[12].work_all()
        assert len(votes(self.exchange(ranks))) == ASKED

    def test_what_comes_early_waits_for_its_step_and_what_comes_late_is_dropped(self, tiny_run: Maker) -> None:
        ranks = self.accomplices(tiny_run(attack=ALIE))
        for rank in ranks.values():
            rank.begin(1)
        late = [message for number in (6, 12) for message in self.outbox_after_work(ranks[number])]
        for number in (6, 12):
            ranks[number].begin(2)
        early = [message for number in (6, 12) for message in self.outbox_after_work(ranks[number])]
        leader = ranks[1]
        for message in early:
            assert leader.worker.receive_from_accomplice(packet(message, source=6)) == []
        leader.begin(2)
        for message in late:
            assert leader.worker.receive_from_accomplice(packet(message, source=6)) == []
        cast = votes(leader.work_all() + self.exchange(ranks))
        rows = np.stack([leader.truth(2, file) for file in range(25)])
        forged = alie_of(rows)
        assert cast == {(worker, file): leader.layout.digests(forged[file]) for worker, file in cast}
        assert len(cast) == ASKED

    @pytest.mark.parametrize("undone", [1, 2])
    def test_what_was_sent_before_a_rollback_is_not_taken_for_the_same_step_done_again(
        self, tiny_run: Maker, undone: int
    ) -> None:
        ranks = self.accomplices(tiny_run(attack=ALIE))
        for number, rank in ranks.items():
            rank.begin(1, shifted=0.1)
            if number != 1:
                rank.begin(undone, shifted=0.1)  # for the leader, a step that is going on, or one to come
        old = [message for number in (6, 12) for message in self.outbox_after_work(ranks[number])]
        for message in old:
            ranks[1].worker.receive_from_accomplice(packet(message, source=6))
        for rank in ranks.values():
            for step in range(1, undone + 1):
                rank.begin(step, attempt=1)
        for message in old:
            ranks[1].worker.receive_from_accomplice(packet(message, source=6))
        assert votes(ranks[1].work_all()) == {}
        cast = votes([frame for number in (6, 12) for frame in ranks[number].work_all()] + self.exchange(ranks))
        forged = alie_of(np.stack([ranks[1].truth(undone, file) for file in range(25)]))
        assert cast == {(worker, file): ranks[1].layout.digests(forged[file]) for worker, file in cast}
        assert len(cast) == ASKED

    def test_what_was_forged_before_a_rollback_is_not_sent_after_it(self, tiny_run: Maker) -> None:
        ranks = self.accomplices_whose_leader_has_their_gradients(tiny_run(attack=ALIE))
        old = self.outbox_after_work(ranks[1])
        assert [message.rank for message in old] == [6, 12]
        ranks[6].begin(1, attempt=1)
        assert ranks[6].worker.receive_from_accomplice(packet(old[0], source=1)) == []

    def test_what_comes_before_its_attempt_has_begun_waits_for_it(self, tiny_run: Maker) -> None:
        ranks = self.accomplices(tiny_run(attack=ALIE))
        for rank in ranks.values():
            rank.begin(5)
        for number in (6, 12):
            ranks[number].begin(1, attempt=1)
            for message in self.outbox_after_work(ranks[number]):
                assert ranks[1].worker.receive_from_accomplice(packet(message, source=number)) == []
        ranks[1].begin(1, attempt=1)
        assert len(votes(ranks[1].work_all() + self.exchange(ranks))) == ASKED

    def test_what_is_early_for_a_leader_that_has_forged_waits_too(self, tiny_run: Maker) -> None:
        ranks = self.accomplices(tiny_run(attack=ALIE))
        for rank in ranks.values():
            rank.begin(1)
            rank.work_all()
        assert len(votes(self.exchange(ranks))) == ASKED
        for number in (6, 12, 1):
            ranks[number].begin(2)
            if number != 1:
                for message in self.outbox_after_work(ranks[number]):
                    ranks[1].worker.receive_from_accomplice(packet(message, source=number))
        assert len(votes(ranks[1].work_all() + self.exchange(ranks))) == ASKED

    @pytest.mark.parametrize("gone", [(1,), (6,), (1, 6)])
    def test_those_who_are_left_send_the_same_when_others_die_whenever_they_hear_of_it(
        self, tiny_run: Maker, monkeypatch: pytest.MonkeyPatch, gone: tuple[int, ...]
    ) -> None:
        builder = Builder(tiny_run(attack=ALIE), num_ranks=16)
        monkeypatch.setattr(GradientComputer, "__call__", cache(GradientComputer.__call__))
        undisturbed = self.play(builder, np.random.default_rng(0))
        assert len(undisturbed[2]) == ASKED
        for seed in range(40):
            cast = self.play(builder, np.random.default_rng(seed), gone=gone)
            assert cast[1].items() <= undisturbed[1].items()  # the second step may begin before all have voted in the first
            assert cast[2].items() <= undisturbed[2].items()
            missing = undisturbed[2].keys() - cast[2].keys()
            assert {builder.rank_of[worker] for worker, _ in missing} <= set(gone)

    def test_once_all_know_what_is_forged_a_death_costs_no_gradient(self, tiny_run: Maker) -> None:
        ranks = self.accomplices(tiny_run(attack=ALIE))
        for rank in ranks.values():
            rank.begin(1)
            rank.work_all()
        self.exchange(ranks)
        for number in (1, 6):
            assert ranks[number].worker.lose_accomplices({12}) == []
            assert not ranks[number].worker.busy

    @pytest.mark.parametrize("told", [6, 12])
    def test_if_a_leader_dies_that_has_told_one_of_them_the_others_hear_of_it(self, tiny_run: Maker, told: int) -> None:
        ranks = self.accomplices_whose_leader_has_their_gradients(tiny_run(attack=ALIE))
        (news,) = (message for message in self.outbox_after_work(ranks.pop(1)) if message.rank == told)
        frames = ranks[told].sent(ranks[told].worker.receive_from_accomplice(packet(news, source=1)))
        for rank in ranks.values():
            frames += rank.sent(rank.worker.lose_accomplices({1}))
        assert ranks[6].worker.busy == (told == 12)  # who knows what was forged has nothing to gather
        for rank in ranks.values():
            frames += rank.work_all()
        frames += self.exchange(ranks)
        cast = votes(frames)
        assert len(cast) == len(frames)
        assert {worker for worker, _ in cast} == {5, 11}
        false = messages.forged(Kind.PARAMETERS, 1, 0, np.ones(ranks[12].layout.size - 1 + 25, np.float32))
        ranks[12].worker.receive_from_accomplice(packet(false.to(12), source=6))
        file = next(file for worker, file in cast if worker == 11)
        vector = ranks[12].vector(ranks[12].receive(messages.fetch(11, 1, file)))
        assert ranks[12].layout.digests(vector) == cast[11, file]  # whatever comes after its vote

    def play(
        self, builder: Builder, rng: np.random.Generator, *, gone: tuple[int, ...] = ()
    ) -> list[dict[tuple[int, int], bytes]]:
        """Plays two steps in any order in which things may happen, some ranks dying at some time; returns the votes of each step.

        Messages of a rank to another stay in their order; of what a dead rank has sent last, something may be lost.
        """
        ranks = {number: Rank(builder, number) for number in self.RANKS}
        wires: dict[tuple[int, int], list[Message]] = {(a, b): [] for a in ranks for b in ranks if a != b}
        to_begin = {number: [1, 2] for number in ranks}
        to_hear: list[tuple[int, int]] = []
        dies_after = {number: int(rng.integers(150)) for number in gone}
        heard: list[tuple[int, int]] = []
        turn = 0
        cast: list[dict[tuple[int, int], bytes]] = [{}, {}, {}]
        while True:
            events = [("begin", number) for number in ranks if to_begin[number]]
            events += [("work", number) for number in ranks if ranks[number].worker.busy] * 5
            events += [("take", wire) for wire, waiting in wires.items() if waiting and wire[1] in ranks]
            events += [("hear", news) for news in to_hear if news[1] in ranks]
            dead = [number for number in dies_after if number in ranks and (not events or turn > dies_after[number])]
            turn += 1
            for number in dead:
                del ranks[number]
                to_hear += [(number, other) for other in ranks]
                for wire, waiting in wires.items():
                    if wire[0] == number:
                        del waiting[int(rng.integers(len(waiting) + 1)) :]
            if dead:
                continue
            if not events:
                return cast
            what, who = events[rng.integers(len(events))]
            number = who if isinstance(who, int) else who[1]
            rank = ranks[number]
            frames: list[Frame] = []
            if what == "begin":
                rank.begin(to_begin[number].pop(0))
            elif what == "work":
                frames = rank.work()
            elif what == "hear":
                frames = rank.sent(rank.worker.lose_accomplices({who[0], *(dead for dead, other in heard if other == number)}))
                to_hear.remove(who)
                heard.append(who)
            else:
                frames = rank.sent(rank.worker.receive_from_accomplice(packet(wires[who].pop(0), who[0])))
            adversary = rank.worker.adversary
            assert adversary is not None
            for message in adversary.outbox:
                wires[number, message.rank].append(message)
            adversary.outbox = []
            if frames:
                assert not cast[rank.worker.step].keys() & votes(frames).keys()
                cast[rank.worker.step] |= votes(frames)

    def test_nonsense_from_an_accomplice_is_dropped(self, tiny_run: Maker) -> None:
        ranks = self.accomplices(tiny_run(attack=ALIE))
        for rank in ranks.values():
            rank.begin(1)
        follower = ranks[6]
        forged = messages.forged(Kind.PARAMETERS, 1, 0, np.ones(follower.layout.size, np.float32))
        short = messages.forged(Kind.PARAMETERS, 1, 0, np.ones(3, np.float32))
        for message, source in (
            (Message(rank=6, tag=Kind.GRADIENT, data=b"garbage"), 1),
            (short.to(6), 1),
            (forged.to(6), 12),  # not from the leader
            (Message(rank=6, tag=Kind.GRADIENT, data=forged.encoded), 1),
        ):
            assert follower.worker.receive_from_accomplice(packet(message, source)) == []
        assert follower.worker.receive_from_accomplice(Packet(source=1, tag=Kind.GRADIENT, data=None, num_bytes=10**9)) == []
        frames = [frame for rank in ranks.values() for frame in rank.work_all()] + self.exchange(ranks)
        assert follower.layout.digests(np.ones(follower.layout.size, np.float32)) not in votes(frames).values()
        assert len(votes(frames)) == ASKED

    def test_a_rank_without_accomplices_ignores_the_channel(self, tiny_run: Maker) -> None:
        rank = Rank.of(tiny_run(), 3)
        forged = messages.forged(Kind.PARAMETERS, 1, 0, np.ones(rank.layout.size, np.float32))
        assert rank.worker.receive_from_accomplice(packet(forged.to(3), source=1)) == []

    def outbox_after_work(self, rank: Rank) -> list[Message]:
        rank.work_all()
        adversary = rank.worker.adversary
        assert adversary is not None
        outbox, adversary.outbox = adversary.outbox, []
        return outbox
