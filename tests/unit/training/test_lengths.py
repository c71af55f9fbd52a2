"""Lies that no check was drawn for and that are too long to be borne: who is found all the same, and what it costs."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from event_driven_server import LAYOUT, Peers, further_votes, gradient, make_server

from byzshield.arrays import Float32
from byzshield.errors import DivergedError
from byzshield.placement import baseline
from byzshield.training import ParameterServer
from byzshield.training.audit import Audit
from byzshield.training.lengths import GROWN, OUTLYING, Lengths
from byzshield.wire import ChunkLayout

HARDLY_EVER = 1e-9  # a rate at which nothing is drawn
FIFTEEN = baseline(num_workers=15)  # worker i holds file i
TRUE = gradient(1, 2, 2)  # 3 long


class Job:
    """Steps of a server without luck: it draws no check, so that it computes only what is too long.

    Args:
        true: the gradient of every file, as the server computes it, by step.
    """

    def __init__(self, true: Callable[[int], Float32] = lambda step: TRUE, **options: Any) -> None:
        self.true = true
        self._full = options.get("exchange") == "full"
        self.computed: list[int] = []  # how many files in each step
        self.server = self.new_server(**options)

    def new_server(self, **options: Any) -> ParameterServer:
        audit = Audit(computer=self._compute, arbitrate=False, rate=HARDLY_EVER, seed=1)
        return make_server(options.pop("assignment", FIFTEEN), audit=audit, **options)

    def _compute(self, parameters: Float32, step: int, file: int) -> Float32:
        self.computed[-1] += 1
        return self.true(step)

    def step(self, lies: Mapping[int, Float32] = {}) -> list[int]:
        """Plays a step in which some workers lie; returns who is convicted, ascending."""
        step, server, peers = self.server.step + 1, self.server, Peers(self.server)
        self.computed.append(0)
        asked = [(worker, worker) for worker in range(15) if worker not in server.convictions.expelled]
        asked += further_votes(server.open_round(0.0))
        while not server.round_done:
            for worker, file in asked:
                values = lies.get(worker, self.true(step))
                for provider, wanted, _ in [(worker, file, 0)] if self._full else peers.vote(worker, file, values, step=step):
                    peers.pay(provider, wanted, values, step=step)
            asked, peers.further = peers.further, []
            if server.busy:
                asked += further_votes(server.work(0.0))
        found = sorted(proof.worker for proof in server.take_convictions())
        before = server.state.model.parameter_vector()
        server.close_round(server.aggregate())
        self.moved = before - server.state.model.parameter_vector()
        return found


def liars(number: int, scale: float) -> dict[int, Float32]:
    return dict.fromkeys(range(number), np.concatenate([-scale * TRUE[:3], TRUE[3:]]))


@pytest.mark.parametrize("number", [1, 7, 8, 14])
@pytest.mark.parametrize("steps_before", [0, 2])
def test_who_lies_once_and_a_hundredfold_is_found_though_nothing_was_drawn(number: int, steps_before: int) -> None:
    job = Job()
    for _ in range(steps_before):
        assert job.step() == []
    assert job.step(liars(number, 100)) == list(range(number))
    np.testing.assert_allclose(job.moved, TRUE[:3])


@pytest.mark.parametrize("factor", [1.9, 3.9])
def test_most_workers_cannot_grow_step_by_step(factor: float) -> None:
    job, scale, escaped = Job(), 1.0, 0
    job.step()
    while not (found := job.step(liars(14, scale := scale * factor))):
        escaped += 1
    assert found == list(range(14))
    assert escaped == (1 if factor < GROWN else 0)


def test_what_escapes_is_a_known_multiple_of_a_true_gradient_at_most() -> None:
    job = Job()
    job.step()
    most, half = liars(14, GROWN), liars(7, GROWN * OUTLYING)
    assert job.step(most | half) == []
    assert job.step(most | liars(7, GROWN * OUTLYING * 1.01)) == list(range(14))
    assert job.step(liars(14, 1.0)) == []  # they are expelled


def test_lies_that_are_short_make_longer_ones_no_better() -> None:
    job = Job()
    job.step()
    assert job.step(liars(14, 1e-3)) == []
    assert job.step(liars(14, 1.0)) == list(range(14))


def test_gradients_that_grow_cost_a_check_or_two_and_convict_nobody() -> None:
    job = Job(true=lambda step: gradient(10.0**step, 0, 0))
    for _ in range(8):
        assert job.step() == []
    assert job.computed == [1] * 8


def test_gradients_of_the_same_length_cost_one_check_in_a_run_and_the_loss_has_no_length() -> None:
    job = Job(true=lambda step: gradient(1, 2, 2, loss=10.0**step))
    for _ in range(5):
        job.step()
    assert job.computed == [1, 0, 0, 0, 0]


def test_gradients_that_shrink_cost_nothing_and_what_is_known_shrinks_with_them() -> None:
    job = Job(true=lambda step: gradient(0.1**step, 0, 0))
    for _ in range(4):
        job.step()
    assert job.computed == [1, 0, 0, 0]
    assert job.server.state_dict()["known_lengths"][0] == pytest.approx(1e-4)


def test_what_is_known_goes_on_with_a_run_that_is_resumed_or_goes_back() -> None:
    job = Job(true=lambda step: gradient(2.0**-step, 0, 0))
    job.step()
    early = job.server.state_dict()
    job.step()
    late = job.server.state_dict()
    job.server = job.new_server()
    job.server.load_state_dict(late)
    assert job.server.state_dict()["known_lengths"] == late["known_lengths"] == [0.25, 0]
    job.step()
    job.server.go_back(early, make_server(FIFTEEN).state)
    assert job.server.state_dict()["known_lengths"] == early["known_lengths"] == [0.5, 0]
    assert job.computed == [1, 0, 0]


def test_a_checkpoint_of_a_run_without_audits_knows_no_length() -> None:
    job = Job()
    job.server.load_state_dict(make_server(FIFTEEN).state_dict())
    job.step()
    assert job.computed == [1]


def test_a_model_that_diverged_is_no_lie() -> None:
    job = Job(true=lambda step: gradient(np.nan, 2, 2))
    with pytest.raises(DivergedError, match="15 of 15 files have a gradient that is not finite"):
        job.step()


@pytest.mark.parametrize("number", [1, 14])
def test_the_full_exchange_is_looked_at_in_the_same_way(number: int) -> None:
    job = Job(exchange="full")
    assert job.step(liars(number, 100)) == list(range(number))


def test_the_statistics_of_a_pass_are_measured_by_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    layout = ChunkLayout(6, 3)  # three gradients, two statistics and the loss
    monkeypatch.setattr("event_driven_server.LAYOUT", layout)
    true, false = np.array([[300, 0, 0, 3, 4, 0.5], [300, 0, 0, -30, 40, 0.5]], dtype=np.float32)
    job = Job(true=lambda step: true, layout=layout)
    assert job.step() == []
    assert job.server.state_dict()["known_lengths"] == [300, 5]
    assert job.step(dict.fromkeys(range(14), false)) == list(range(14))


class TestASample:
    """Of files whose lengths are given, of which some are lies."""

    def test_ends_once_half_of_it_is_as_long_as_the_median_at_least(self) -> None:
        lengths = self.of([1, 1, 5, 5, 5])
        assert lengths.doubtful(range(5), set(), lambda: [4, 3, 2, 1, 0]) == [0]
        assert lengths.doubtful(range(5), {0}, lambda: []) == [1]
        assert lengths.doubtful(range(5), {0, 1}, lambda: []) == [2]
        assert lengths.doubtful(range(5), {0, 1, 2}, lambda: []) == [3]
        assert lengths.doubtful(range(5), {0, 1, 2, 3}, lambda: []) == [4]
        assert lengths.doubtful(range(5), range(5), lambda: []) == []

    def test_is_not_chosen_by_who_has_a_long_gradient(self) -> None:
        lengths = self.of([100, 1, 50, 50, 50])
        assert lengths.doubtful(range(5), {0}, lambda: [0, 2, 3, 4, 1]) == [1]  # file 0 was computed for another reason
        assert lengths.doubtful(range(5), {0, 1}, lambda: []) == [4]

    def test_takes_what_is_computed_already_without_a_further_check(self) -> None:
        lengths = self.of([3, 3, 3])
        assert lengths.doubtful(range(3), {2}, lambda: [0, 1, 2]) == []
        lengths.end(range(3))
        assert lengths.known == 3

    def test_of_true_gradients_that_are_not_finite_says_nothing(self) -> None:
        lengths = self.of([np.inf, 2, 2])
        assert lengths.doubtful(range(3), {0}, lambda: [2, 1, 0]) == [1]

    @staticmethod
    def of(values: list[float]) -> Lengths:
        lengths = Lengths(ChunkLayout(LAYOUT.size, 2), num_files=len(values), columns=slice(0, 3))
        lengths.begin()
        for file, value in enumerate(values):
            for chunk, part in enumerate(([0, value], [0, 99])):
                lengths.measure(file, chunk, np.array(part, dtype=np.float32))
        return lengths
