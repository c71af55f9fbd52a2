"""Training on coded gradients: whatever up to s workers send or leave out, the mean of all files comes out."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from event_driven_server import TIMEOUT, gradient, make_server

from byzshield.arrays import Complex128, Float32
from byzshield.coding import CyclicCode
from byzshield.config import RunConfig
from byzshield.errors import ConfigError
from byzshield.placement import baseline, cyclic
from byzshield.runtime import Builder, simulate
from byzshield.training import ParameterServer, decoding
from byzshield.training.decoding import Decoding
from byzshield.wire import ArrayEncoder, ChunkLayout, Frame, Packet, messages

Maker = Callable[..., RunConfig]
Weights = Callable[[Path], dict[str, torch.Tensor]]
CODED: dict[str, dict[str, Any]] = {
    "cluster": {"num_workers": 7, "exchange": "coded"},
    "data": {"batch_size": 70},
    "placement": {"scheme": "cyclic", "replication": 5},
    "aggregation": {"rule": "mean"},
}
CODE = CyclicCode(num_workers=7, num_errors=2)
LAYOUT = ChunkLayout(8, 3)  # four complex numbers: three gradients and the loss


def run(tiny_run: Maker, **sections: dict[str, Any]) -> RunConfig:
    return tiny_run(**{name: {**CODED.get(name, {}), **sections.get(name, {})} for name in CODED | sections})


@pytest.fixture
def without_attack(tiny_run: Maker, weights_of: Weights) -> dict[str, torch.Tensor]:
    return weights_of(simulate(run(tiny_run, run={"name": "undisturbed"}))[0].path)


def close(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.allclose(one[name], other[name], rtol=1e-5, atol=1e-6) for name in one)


class TestARun:
    def test_without_an_attack_it_is_the_mean_of_the_files_also_of_their_batch_statistics(
        self, tiny_run: Maker, weights_of: Weights
    ) -> None:
        model = {"name": "normed:Normed"}
        mean = simulate(run(tiny_run, cluster={"exchange": "digest"}, run={"name": "digests"}, model=model))[0]
        coded = simulate(run(tiny_run, run={"name": "coded"}, model=model))[0]
        assert close(weights_of(mean.path), weights_of(coded.path))

    @pytest.mark.parametrize(
        "attack",
        [
            {"name": "reversed_gradient"},
            {"name": "constant", "forge_statistics": True},
            {"name": "alie", "selection": "random"},
            {"name": "silence"},
            {"name": "garbage"},
        ],
        ids=lambda attack: attack["name"],
    )
    def test_no_attack_of_two_workers_changes_what_is_learned(
        self, tiny_run: Maker, weights_of: Weights, without_attack: dict[str, torch.Tensor], attack: dict[str, Any]
    ) -> None:
        directory, summary = simulate(run(tiny_run, attack={"selection": "first", "num_byzantine": 2, **attack}), num_ranks=8)
        assert close(weights_of(directory.path), without_attack)
        assert (summary["corrupted_files_max"], summary["skipped_steps"]) == (0, 0)
        if attack.get("selection") != "random":
            assert set(summary["blamed"]) == {"0", "1"}

    def test_three_liars_are_too_many_and_the_step_is_skipped(self, tiny_run: Maker) -> None:
        attack = {"name": "reversed_gradient", "num_byzantine": 3, "selection": "first"}
        _, summary = simulate(run(tiny_run, attack=attack, aggregation={"num_corrupted": 0}))
        assert summary["skipped_steps"] == 4

    def test_the_bits_do_not_depend_on_the_number_of_ranks(
        self, tiny_run: Maker, weights_of: Weights, same_weights: Callable[..., bool]
    ) -> None:
        attack = {"name": "alie", "num_byzantine": 2}
        one = simulate(run(tiny_run, run={"name": "two"}, attack=attack))[0]
        other = simulate(run(tiny_run, run={"name": "five"}, attack=attack), num_ranks=5)[0]
        assert same_weights(weights_of(one.path), weights_of(other.path))

    @pytest.mark.parametrize(
        ("sections", "words"),
        [
            ({"placement": {"scheme": "aspis"}}, "needs placement.scheme = \"cyclic\"; got 'aspis'"),
            ({"aggregation": {"rule": "median"}}, "needs aggregation.rule = \"mean\" and no aggregation.pre; got 'median'"),
            ({"aggregation": {"pre": ["nnm"]}}, "no aggregation.pre"),
            ({"vote": {"name": "aspis"}}, "has no votes"),
            (
                {"attack": {"num_byzantine": 3}},
                "use placement.replication = 7 or, to see it fail, --set aggregation.num_corrupted=0",
            ),
        ],
    )
    def test_what_does_not_fit_is_refused(self, tiny_run: Maker, sections: dict[str, Any], words: str) -> None:
        with pytest.raises(ConfigError) as caught:
            Builder(run(tiny_run, **sections)).server()
        assert words in str(caught.value)
        assert "\n" not in str(caught.value)


def combinations(gradients: list[Float32]) -> list[Complex128]:
    files_of = cyclic(num_workers=7, replication=5).files_of.tolist()
    return [CODE.encode(worker, [gradients[file] for file in files]) for worker, files in enumerate(files_of)]


TRUE = [gradient(1 + file, 2, 3 * file, loss=file) for file in range(7)]  # means 4, 2, 9 and 3
ROWS = combinations(TRUE)


class Sender:
    """Sends combinations to a server, one worker a rank."""

    def __init__(self) -> None:
        self.server: ParameterServer = make_server(
            baseline(num_workers=7), exchange="coded", pipeline=Decoding(CODE, seed=1), layout=LAYOUT
        )
        self.server.open_round(0.0)

    def send(self, worker: int, row: Complex128, **changes: Any) -> None:
        values = np.ascontiguousarray(row).view(np.float64)
        for frame in messages.gradient_chunks(worker, 1, worker, values, layout=LAYOUT, encoder=ArrayEncoder("off")):
            self.frame(worker, Frame(**{**vars_of(frame), **changes}))

    def frame(self, worker: int, frame: Frame) -> None:
        message = frame.to(0)
        self.server.receive(Packet(source=worker + 1, tag=message.tag, data=message.data, num_bytes=len(message.data)), 0.0)

    def all_but(self, *workers: int) -> None:
        for worker, row in enumerate(ROWS):
            if worker not in workers:
                self.send(worker, row)

    def wait(self) -> None:
        """Lets all deadlines pass."""
        while not self.server.round_done:
            deadline = self.server.next_deadline()
            assert deadline is not None
            assert deadline <= TIMEOUT
            self.server.tick(deadline)

    def blamed(self, cause: str) -> list[int]:
        return [worker for worker in range(7) if self.server.blame.count(worker, cause)]


def vars_of(frame: Frame) -> dict[str, Any]:
    return {name: getattr(frame, name) for name in Frame.__dataclass_fields__}


class TestARound:
    def test_the_mean_is_applied_and_the_loss_is_that_of_all_files(self) -> None:
        sender = Sender()
        sender.all_but()
        assert sender.server.round_done
        outcome = sender.server.close_round(sender.server.aggregate())
        assert sender.server.state.model.parameter_vector().tolist() == [-4, -2, -9]
        assert (outcome.loss, outcome.discarded, outcome.undecided) == (3.0, (), ())

    @pytest.mark.parametrize("lie", [np.nan, np.inf, 1e308, 6e307, 3e307, 1e300, 1e30, 1e8, -5, 1e-6])
    def test_a_lie_of_any_size_is_located_and_blamed(self, lie: float) -> None:
        sender = Sender()
        sender.all_but(2, 4)
        with np.errstate(all="ignore"):
            sender.send(2, ROWS[2] + lie)
        sender.send(4, ROWS[4] + 1)
        outcome = sender.server.close_round(sender.server.aggregate())
        assert np.allclose(sender.server.state.model.parameter_vector(), [-4, -2, -9])
        assert sorted({*sender.blamed("minority"), *sender.blamed("non_finite")}) == [2, 4]
        assert 4 in outcome.discarded

    def test_silent_workers_end_with_the_deadline_and_cost_half_a_liar(self) -> None:
        sender = Sender()
        sender.all_but(0, 6, 3)
        sender.send(3, ROWS[3] * 2)
        assert not sender.server.round_done
        sender.wait()
        assert sender.server.round_done
        outcome = sender.server.close_round(sender.server.aggregate())
        assert np.allclose(sender.server.state.model.parameter_vector(), [-4, -2, -9])
        assert (sender.blamed("timeout"), sender.blamed("minority"), outcome.undecided) == ([0, 6], [3], (0, 6))

    def test_with_fewer_than_k_minus_2s_combinations_the_step_is_skipped(self) -> None:
        sender = Sender()
        sender.all_but(0, 1, 2, 3, 4)
        sender.wait()
        outcome = sender.server.close_round(sender.server.aggregate())
        assert not outcome.applied
        assert "from 3 combinations or more of 7; got 2" in outcome.reason

    @pytest.mark.parametrize(
        "change", [{"file": 3}, {"file": 9}, {"count": 2}, {"chunk": 5}, {"compressed": True, "payload": bytes(8)}]
    )
    def test_a_frame_that_does_not_fit_is_malformed(self, change: dict[str, Any]) -> None:
        sender = Sender()
        sender.send(1, ROWS[1], **change)
        assert sender.blamed("malformed") == [1]

    def test_float32_values_are_malformed_here(self) -> None:
        sender = Sender()
        values = np.zeros(8, dtype=np.float32)
        (frame, *_) = messages.gradient_chunks(1, 1, 1, values, layout=LAYOUT, encoder=ArrayEncoder("off"))
        sender.frame(1, frame)
        assert sender.blamed("malformed") == [1]


def test_a_lie_that_a_known_projection_would_not_see_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[np.ndarray] = []
    original = decoding.generator

    class Spy:
        def __init__(self, *arguments: Any) -> None:
            self.rng = original(*arguments)

        def standard_normal(self, size: int) -> np.ndarray:
            drawn.append(self.rng.standard_normal(size))
            return drawn[-1]

    monkeypatch.setattr(decoding, "generator", Spy)
    decode = Decoding(CODE, seed=1)
    rows = np.random.default_rng(0).standard_normal((7, 5))
    honest = CODE.matrix @ rows
    statistics = CODE.matrix @ np.ones((7, 1))

    def decoded(gradients: Complex128) -> Any:
        return decode(gradients, statistics=statistics, numbers=list(range(7)), step=1)

    assert decoded(honest).rejected == ()
    direction = drawn[0]
    lie = np.array([direction[1], -direction[0], 0, 0, 0])
    forged = honest.copy()
    forged[3] += lie
    aggregate = decoded(forged)
    assert aggregate.rejected == (3,)
    assert np.allclose(aggregate.vector, rows.mean(axis=0), atol=1e-6)
