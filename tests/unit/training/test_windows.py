"""Winners that are fetched and combined window by window: the same step as with all of them at once."""

from collections import Counter, deque
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import pytest
from event_driven_server import ENCODER, TIMEOUT, make_server

from byzshield.aggregation import AGGREGATORS, Aggregator, Krum, Mean, Median, Pipeline, TrimmedMean
from byzshield.aggregation.pre import NNM
from byzshield.arrays import Float32
from byzshield.errors import ParameterError
from byzshield.placement import Assignment, baseline, frc, mols
from byzshield.training import ParameterServer
from byzshield.training.audit import Audit
from byzshield.training.windowed_round import WindowedRound
from byzshield.wire import ALL_CHUNKS, SERVER_RANK, ChunkLayout, Frame, Kind, Message, Packet, messages

LAYOUT = ChunkLayout(4, 1)  # three gradients and the loss, each a chunk
SIXTEEN_FILES = mols(load=4, replication=3)
WINDOWS = (None, 1, 2, 3, 4)


class Workers:
    """All workers of a job, each on a rank of its own, with the same vector of each file."""

    def __init__(
        self,
        server: ParameterServer,
        vectors: Float32,
        *,
        withheld: Collection[tuple[int, int]] = (),
        liars: Collection[int] = (),
    ) -> None:
        self.server = server
        self.vectors = vectors
        self.withheld = withheld  # (file, chunk) that nobody delivers
        self.liars = liars  # workers that have another vector of each file
        self.served: Counter[tuple[int, int]] = Counter()
        self.now = 0.0
        self.inbox: deque[Message] = deque()

    def begin(self) -> None:
        """Opens a round, in which all who are to vote do so."""
        self.inbox.extend(self.server.open_round(self.now))
        spare = [set(workers) for workers in self.server._turns.spare]
        for file, workers in enumerate(self.server._assignment.workers_of.tolist()):
            for worker in workers:
                if worker not in spare[file]:
                    self.vote(worker, file)

    def vote(self, worker: int, file: int) -> None:
        self.send(messages.digests(worker, self.server.step + 1, file, LAYOUT.digests(self.vector(worker, file))))

    def vector(self, worker: int, file: int) -> Float32:
        return self.vectors[file] + np.float32(worker in self.liars)

    def send(self, frame: Frame) -> None:
        message = frame.to(SERVER_RANK)
        packet = Packet(source=frame.worker + 1, tag=message.tag, data=message.data, num_bytes=len(message.data))
        self.inbox.extend(self.server.receive(packet, self.now))

    def serve(self, *, most: int = 10**6) -> None:
        """Delivers what is asked for, and lets time pass when nothing is; to the end of the round, or so many requests."""
        while not self.server.round_done and most:
            if self.inbox:
                message = self.inbox.popleft()
                if message.tag == Kind.FETCH:
                    self._answer(Frame.decode(message.data, bounds={Kind.FETCH: 0}))
                    most -= 1
                elif message.tag == Kind.COMPUTE:
                    request = Frame.decode(message.data, bounds={Kind.COMPUTE: 0})
                    self.vote(request.worker, request.file)
                continue
            if self.server.busy:
                self.inbox.extend(self.server.work(self.now))
                continue
            deadline = self.server.next_deadline()
            assert deadline is not None
            self.now = max(self.now, deadline)
            self.inbox.extend(self.server.tick(self.now))

    def _answer(self, request: Frame) -> None:
        for chunk in range(LAYOUT.num_chunks) if request.chunk == ALL_CHUNKS else [request.chunk]:
            if (request.file, chunk) not in self.withheld:
                self.served[request.file, chunk] += 1
                self.deliver(request.worker, request.file, chunk, step=request.step)

    def deliver(self, worker: int, file: int, chunk: int, *, step: int = 1) -> None:
        vector = self.vector(worker, file)
        for frame in messages.gradient_chunks(worker, step, file, vector, layout=LAYOUT, encoder=ENCODER, chunk=chunk):
            self.send(frame)


def server_of(window: int | None, rule: Aggregator | None = None, **options: Any) -> ParameterServer:
    assignment = options.pop("assignment", SIXTEEN_FILES)
    return make_server(assignment, rule=rule or Median(2), layout=LAYOUT, window=window, **options)


def vectors_of(seed: int, *, files: int = 16, bad: Mapping[tuple[int, int], float] = {}) -> Float32:
    vectors = np.random.default_rng(seed).standard_normal((files, LAYOUT.size)).astype(np.float32)
    for place, value in bad.items():
        vectors[place] = value
    return vectors


def step_of(
    window: int | None, vectors: Float32, *, rule: Aggregator | None = None, options: Mapping[str, Any] = {}, **peers: Any
) -> tuple[Any, ...]:
    """What comes of a step: the outcome, less what depends on how often somebody is asked, and the parameters' bytes."""
    server = server_of(window, rule, **options)
    workers = Workers(server, vectors, **peers)
    workers.begin()
    workers.serve()
    proofs = server.take_convictions() if "audit" in options else []
    convicted = sorted((proof.worker, proof.file, proof.evidence) for proof in proofs)
    outcome = server.close_round(server.aggregate())
    said = (outcome.applied, outcome.undecided, outcome.non_finite, outcome.loss, outcome.reason)
    return (*said, convicted, server.state.model.parameter_vector().tobytes())


class TestTheSameStep:
    @pytest.mark.parametrize("rule", [Mean(0), Median(2), TrimmedMean(2)], ids=lambda rule: type(rule).__name__)
    def test_of_honest_workers(self, rule: Aggregator) -> None:
        whole, *windowed = (step_of(window, vectors_of(0), rule=rule) for window in WINDOWS)
        assert whole[0]
        assert windowed == [whole] * 4

    @pytest.mark.parametrize("place", [(4, 0), (4, 2), (4, 3)], ids=["first column", "last gradient", "loss"])
    @pytest.mark.parametrize("rule", [Median(2), TrimmedMean(2)], ids=lambda rule: type(rule).__name__)
    def test_where_a_row_has_a_value_that_is_not_finite_in_one_column(self, rule: Aggregator, place: tuple[int, int]) -> None:
        vectors = vectors_of(1, bad={place: np.nan})
        whole, *windowed = (step_of(window, vectors, rule=rule) for window in WINDOWS)
        assert whole[:3] == (True, (), (4,))
        assert windowed == [whole] * 4

    def test_where_rows_show_one_after_the_other_that_they_are_not_finite(self) -> None:
        vectors = vectors_of(2, bad={(1, 1): np.inf, (7, 3): np.nan})
        whole, *windowed = (step_of(window, vectors, rule=TrimmedMean(2)) for window in WINDOWS)
        assert whole[:3] == (True, (), (1, 7))
        assert windowed == [whole] * 4

    def test_where_too_few_rows_are_left(self) -> None:
        vectors = vectors_of(3, bad={(0, 0): np.nan, (12, 2): np.nan})
        withheld = {(file, chunk) for file in range(1, 11) for chunk in (0, 1, 2, 3)}
        whole, *windowed = (step_of(window, vectors, rule=Median(4), withheld=withheld) for window in WINDOWS)
        assert whole[:3] == (False, tuple(range(1, 11)), (0, 12))
        assert windowed == [whole] * 4

    @pytest.mark.parametrize("chunk", [0, 1, 3])
    def test_where_nobody_delivers_a_part_of_a_file(self, chunk: int) -> None:
        whole, *windowed = (step_of(window, vectors_of(4), rule=TrimmedMean(2), withheld={(3, chunk)}) for window in WINDOWS)
        assert whole[:3] == (True, (3,), ())
        assert windowed == [whole] * 4

    def test_where_a_file_that_is_not_finite_is_not_delivered_to_the_end(self) -> None:
        """It was left out of a window as a corrupted one, for which the rule trims one value less."""
        vectors = vectors_of(5, bad={(6, 0): np.nan})
        whole, *windowed = (step_of(window, vectors, rule=TrimmedMean(2), withheld={(6, 3)}) for window in WINDOWS)
        assert whole[:3] == (True, (6,), ())
        assert windowed == [whole] * 4


class TestWhatTravels:
    def test_each_chunk_once_if_nobody_fails(self) -> None:
        workers = Workers(server_of(2), vectors_of(0))
        workers.begin()
        workers.serve()
        assert set(workers.served.values()) == {1}
        assert len(workers.served) == 64

    def test_the_windows_before_once_more_if_a_row_turns_out_not_to_be_finite(self) -> None:
        workers = Workers(server_of(1), vectors_of(0, bad={(4, 2): np.nan}))
        workers.begin()
        workers.serve()
        assert {chunk: workers.served[0, chunk] for chunk in range(4)} == {0: 2, 1: 2, 2: 1, 3: 1}

    def test_the_server_holds_one_window(self) -> None:
        assert server_of(2)._combiner.matrix.shape == (16, 2)
        assert server_of(9)._combiner.matrix.shape == (16, 4)

    def test_requests_for_a_window_are_spread_like_those_for_files(self) -> None:
        server = server_of(1)
        workers = Workers(server, vectors_of(0))
        workers.begin()
        workers.serve()
        asked = [report["payloads"] for report in server.blame.asked().values()]
        assert (sum(asked), max(asked)) == (64, 6)


class TestFaults:
    def test_a_chunk_of_a_window_that_is_over_is_late_and_no_proof(self) -> None:
        server = server_of(1, Mean(0), assignment=frc(num_workers=3, replication=3))
        workers = Workers(server, vectors_of(0, files=1))
        workers.begin()
        workers.inbox.clear()
        (first,) = [worker for worker, asked in server.blame.asked().items() if asked["payloads"]]

        def asked(worker: str) -> int:
            return server.blame.asked()[worker]["payloads"]

        def wait() -> None:
            workers.now = server.next_deadline() or 0.0
            workers.inbox.extend(server.tick(workers.now))

        while sum(map(asked, "012")) < 2:
            wait()
        workers.serve(most=1)  # another delivers the first window, and nobody in time the second
        while asked(first) < 2:
            wait()
        workers.deliver(int(first), 0, 0)
        assert not any(causes.get("malformed") for causes in server.blame.report().values())
        workers.serve()
        assert server.round_done

    def test_a_chunk_that_nobody_asked_for_is_malformed(self) -> None:
        server = server_of(1)
        workers = Workers(server, vectors_of(0))
        workers.begin()
        holders = SIXTEEN_FILES.workers_of[0].tolist()
        for worker in holders:
            workers.deliver(worker, 0, 3)
        assert all(server.blame.report()[str(worker)]["malformed"] for worker in holders)

    def test_a_lost_worker_is_not_asked_for_later_windows(self) -> None:
        server = server_of(1)
        workers = Workers(server, vectors_of(0))
        workers.begin()
        workers.serve(most=3)
        workers.inbox = deque(message for message in workers.inbox if message.rank != 1)
        workers.inbox.extend(server.lose(1, workers.now))
        before = server.blame.asked()["0"]["payloads"]
        workers.serve()
        assert server.blame.asked()["0"]["payloads"] == before
        assert server.close_round(server.aggregate()).undecided == ()

    def test_a_provider_that_lies_in_one_window_is_replaced(self) -> None:
        server = server_of(2)
        workers = Workers(server, vectors_of(0))
        workers.begin()
        workers.serve(most=16 * 2)  # the first window
        request = Frame.decode(workers.inbox.popleft().data, bounds={Kind.FETCH: 0})
        workers.vectors = workers.vectors + 1
        workers.deliver(request.worker, request.file, request.chunk)
        workers.vectors = vectors_of(0)
        workers.serve()
        assert server.blame.report()[str(request.worker)]["payload_mismatch"] == 1
        assert server.close_round(server.aggregate()).undecided == ()

    def test_files_that_the_same_workers_do_not_deliver_have_the_windows_made_again_once(self) -> None:
        class OneAfterTheOther(Workers):
            def _answer(self, request: Frame) -> None:
                given_up = 0 if server._round is None else len(server._round.undecided)
                self.withheld = [(3 + given_up, 3 - given_up)]  # of the last window that is made again
                super()._answer(request)

        halves = Assignment(scheme="halves", files_of=np.array([[0, 1, 2]] * 3 + [[3, 4, 5]] * 3))
        server = server_of(1, rule=Median(0), assignment=halves)
        workers = OneAfterTheOther(server, vectors_of(0, files=6))
        workers.begin()
        workers.serve()
        assert server.close_round(server.aggregate()).undecided == (3, 4, 5)
        assert [workers.served[0, chunk] for chunk in range(4)] == [2, 2, 2, 1]

    def test_each_wait_for_a_window_is_paid_for_and_has_what_is_usual_for_one(self) -> None:
        server = server_of(1)
        workers = Workers(server, vectors_of(0))
        pace, prompt = server._pace, 0.5
        limits = []
        for _ in range(2):
            workers.begin()
            began = server._round
            pace.decided(8.0)  # half of which the payloads of the next step have more, but those of later windows have not
            for _ in range(4):
                limits.append(pace.payload_limit)
                workers.now += prompt
                for message in [workers.inbox.popleft() for _ in range(len(workers.inbox))]:
                    if message.tag == Kind.FETCH:
                        workers._answer(Frame.decode(message.data, bounds={Kind.FETCH: 0}))
                pace.spend(TIMEOUT, prompt=1.0, granted=1.0)
            assert server._round is began
            assert server.round_done
            server.close_round(server.aggregate())
        # In the first step it is known after two windows what a later one takes.
        assert limits == pytest.approx([TIMEOUT] * 2 + [1.5 * prompt] * 2 + [1.5 * prompt + 4.0] + [1.5 * prompt] * 3)
        assert pace._credit < 1.0  # of 4, after more than as many waits


class TestFilesThatTheServerComputes:
    @staticmethod
    def audit(vectors: Float32, **options: Any) -> Audit:
        return Audit(computer=lambda _, step, file: vectors[file].copy(), seed=1, **{"arbitrate": False, "rate": 0.0, **options})

    @pytest.mark.parametrize(
        ("liars", "options"),
        [
            ([], {"rate": 1.0}),
            ([3], {"rate": 0.3}),
            ([0, 4, 8], {"rate": 0.3}),  # the holders of file 0, of which each has other files
            ([0, 4, 8], {"arbitrate": True}),
            ([0, 4], {"arbitrate": True, "expel": False}),
        ],
    )
    def test_take_their_places_in_all_windows(self, liars: list[int], options: dict[str, Any]) -> None:
        vectors = vectors_of(0)
        whole, *windowed = (
            step_of(window, vectors, liars=liars, options={"audit": self.audit(vectors, **options)}) for window in WINDOWS
        )
        assert whole[0]
        assert windowed == [whole] * 4

    @pytest.mark.parametrize("scale", [100, -9])
    def test_take_the_place_of_lies_that_were_too_long_when_the_last_window_had_come(self, scale: float) -> None:
        true = vectors_of(0)
        said = true.copy()
        said[2, :3] *= scale  # by all who hold it
        audit = self.audit(true, rate=1e-9)
        whole, *windowed = (step_of(window, said, options={"audit": audit}) for window in WINDOWS)
        holders = SIXTEEN_FILES.workers_of[2].tolist()
        assert [(worker, file) for worker, file, _ in whole[5]] == [(worker, 2) for worker in holders]
        assert whole[-1] == step_of(None, true)[-1]
        assert windowed == [whole] * 4

    def test_and_agree_with_what_has_come_make_no_chunk_travel_again(self) -> None:
        true = vectors_of(0)
        true[2, :3] *= 100
        server = server_of(1, audit=self.audit(true, rate=1e-9))
        workers = Workers(server, true)
        workers.begin()
        workers.serve()
        assert 2 in server.settled
        assert set(workers.served.values()) == {1}

    @pytest.mark.parametrize("requests", [0, 16, 40, 10**6])
    def test_take_the_place_of_what_workers_have_delivered(self, requests: int) -> None:
        vectors = vectors_of(0)
        own = np.array([8, -8, 8, 0.5], dtype=np.float32)
        expected = step_of(None, np.concatenate([vectors[:2], own[None], vectors[3:]]))
        server = server_of(1)
        workers = Workers(server, vectors)
        workers.begin()
        workers.serve(most=requests)
        round_ = server._round
        assert isinstance(round_, WindowedRound)
        round_.ballots[2].settle(LAYOUT.digests(own))
        workers.inbox.extend(server._addressed(round_._provide(2, own, workers.now) + round_._go_on(workers.now)))
        workers.serve()
        outcome = server.close_round(server.aggregate())
        assert (outcome.loss, server.state.model.parameter_vector().tobytes()) == (expected[3], expected[-1])

    def test_a_worker_that_is_expelled_at_the_end_is_taken_out_of_all_windows(self) -> None:
        vectors = vectors_of(0)
        parameters = []
        for window in (None, 1):
            server = server_of(window, audit=self.audit(vectors, rate=1e-9))
            workers = Workers(server, vectors, liars=[0, 4])
            workers.begin()
            workers.serve()
            for worker in (0, 4):
                assert server._round is not None
                workers.inbox.extend(server._addressed(server._round.expel(worker, workers.now)))
            workers.serve()
            server.close_round(server.aggregate())
            parameters.append(server.state.model.parameter_vector().tobytes())
        assert parameters[0] == parameters[1] == step_of(None, vectors)[-1]


@pytest.mark.parametrize(
    "options",
    [
        {"exchange": "full"},
        {"pipeline": Pipeline(Krum(2))},
        {"pipeline": Pipeline(Median(2), [NNM(2)])},
    ],
    ids=["full exchange", "distances", "pre-aggregator"],
)
def test_windows_are_refused_where_they_do_not_work(options: dict[str, Any]) -> None:
    with pytest.raises(ParameterError, match="windows need"):
        server_of(1, **options)


@pytest.mark.parametrize("name", [name for name, rule in AGGREGATORS.items() if rule.coordinate_wise])
def test_a_coordinate_wise_rule_gives_the_same_bits_by_parts(name: str) -> None:
    rows = np.random.default_rng(0).standard_normal((25, 700)).astype(np.float32)
    pipeline = Pipeline(AGGREGATORS.get(name)(3))
    assert pipeline.works_by_columns
    parts = [pipeline.combine_columns(rows[:, first : first + 111], ()) for first in range(0, 700, 111)]
    assert np.concatenate(parts).tobytes() == pipeline(rows).vector.tobytes()


def test_files_of_one_worker_have_windows_too() -> None:
    assert step_of(1, vectors_of(0))[0]
    server = server_of(1, Mean(0), assignment=baseline(num_workers=3))
    workers = Workers(server, vectors_of(0, files=3))
    workers.begin()
    workers.serve()
    assert server.close_round(server.aggregate()).applied
