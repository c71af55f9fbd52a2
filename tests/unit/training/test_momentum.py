"""The momenta of shards: what a rule sees of a file, and what is left of it after a step."""

from typing import Any

import numpy as np
import pytest
import torch
from event_driven_server import Peers, gradient, make_server

from byzshield.aggregation import Mean, Median, Pipeline
from byzshield.arrays import Float32
from byzshield.choices import MomentumForm
from byzshield.errors import CheckpointError, ParameterError
from byzshield.placement import baseline, frc
from byzshield.training import ParameterServer
from byzshield.training.momentum import ShardMomentum

HUGE = 3e38


def momentum(num_files: int, form: MomentumForm = "ema", num_parameters: int = 3) -> ShardMomentum:
    return ShardMomentum(num_files=num_files, num_parameters=num_parameters, beta=0.5, form=form)


def step(server: ParameterServer, *copies: Float32, replication: int = 1) -> list[float]:
    """Plays a step of what each worker sends of its file. Returns by how much the parameters fell, which is the aggregate."""
    before = server.state.model.parameter_vector().copy()
    server.open_round(0.0)
    for worker, values in enumerate(copies):
        Peers(server).pay(worker, worker // replication, values, step=server.step + 1)
    assert server.round_done
    server.close_round(server.aggregate())
    return (before - server.state.model.parameter_vector()).tolist()


def server_of(num_files: int, form: MomentumForm = "ema", **options: Any) -> ParameterServer:
    return make_server(baseline(num_workers=num_files), exchange="full", momentum=momentum(num_files, form), **options)


@pytest.mark.parametrize(
    ("form", "wanted"), [("ema", [4, 2 + 4, 1 + 2 + 8]), ("sum", [8, 4 + 8, 2 + 4 + 16])], ids=["ema", "sum"]
)
def test_the_rule_sees_the_momenta(form: MomentumForm, wanted: list[float]) -> None:
    server = server_of(1, form)
    assert [step(server, gradient(g, 0, -g))[0] for g in (8, 8, 16)] == wanted


def test_each_file_has_its_own_momentum() -> None:
    server = server_of(3, pipeline=Pipeline(Median(0)))
    step(server, gradient(8, 0, 0), gradient(0, 0, 0), gradient(-8, 0, 0))
    assert step(server, gradient(0, 0, 0), gradient(8, 0, 0), gradient(0, 0, 0)) == [2, 0, 0]  # of 2, 4 and -2


def test_the_loss_has_no_momentum() -> None:
    server = server_of(1)
    server.open_round(0.0)
    Peers(server).pay(0, 0, gradient(1, 2, 3, loss=7.0))
    assert server.close_round(server.aggregate()).loss == 7.0


def test_a_file_without_a_winner_takes_no_part_and_goes_on_from_what_it_was() -> None:
    server = make_server(frc(num_workers=6, replication=3), exchange="full", momentum=momentum(2))
    ours, theirs, other = [gradient(8, 0, 0)] * 3, [gradient(0, 8, 0)] * 3, [gradient(0, 0, g) for g in (1, 2, 3)]
    assert step(server, *ours, *theirs, replication=3) == [2, 2, 0]
    assert step(server, *other, *theirs, replication=3) == [0, 6, 0]  # the second file alone
    assert step(server, *ours, *theirs, replication=3) == [3, 3.5, 0]  # the first as after one step


def test_a_skipped_step_leaves_no_trace() -> None:
    server, twin = (server_of(2, quorum=1.0) for _ in range(2))
    for each in (server, twin):
        step(each, gradient(8, 0, 0), gradient(0, 8, 0))
    before = server.state_dict()["momentum"]["momenta"].clone()
    server.open_round(0.0)
    peers = Peers(server)
    peers.pay(0, 0, gradient(1, 1, 1), step=2)
    while (deadline := server.next_deadline()) is not None:
        server.tick(deadline)
    assert not server.close_round(server.aggregate()).applied
    assert torch.equal(server.state_dict()["momentum"]["momenta"], before)
    assert torch.equal(server.state_before_skips()["momentum"]["momenta"], before)
    again = gradient(2, 4, 6), gradient(6, 4, 2)
    assert step(server, *again) == step(twin, *again)


@pytest.mark.parametrize("bad", [gradient(np.nan, 1, 1), gradient(1, -np.inf, 1), gradient(1, 1, 1, loss=np.nan)])
def test_a_row_that_is_not_finite_is_dropped_and_its_momentum_stays(bad: Float32) -> None:
    server = server_of(3, pipeline=Pipeline(Median(1)))
    step(server, *[gradient(8, 8, 8)] * 3)
    step(server, gradient(8, 8, 8), gradient(8, 8, 8), bad)
    assert server.blame.report()["2"]["non_finite"] == 1
    assert server.state_dict()["momentum"]["momenta"].tolist() == [[6] * 3, [6] * 3, [4] * 3]


def test_a_momentum_that_would_overflow_is_dropped_as_well() -> None:
    server = server_of(3, "sum", pipeline=Pipeline(Median(1)))
    for _ in range(2):
        step(server, gradient(1, 1, 1), gradient(1, 1, 1), gradient(HUGE, -HUGE, 1))
    assert np.isfinite(server.state_dict()["momentum"]["momenta"].numpy()).all()
    assert server.blame.report()["2"]["non_finite"] == 1


def test_nothing_is_stored_between_the_aggregate_and_its_application() -> None:
    server = server_of(1)
    server.open_round(0.0)
    Peers(server).pay(0, 0, gradient(8, 8, 8))
    server.aggregate()
    assert not server.state_dict()["momentum"]["momenta"].any()  # a signal here ends the run with the step before


def test_a_loaded_state_goes_on_with_the_same_bits() -> None:
    rng = np.random.default_rng(0)
    ours, theirs = server_of(2, pipeline=Pipeline(Mean())), server_of(2, pipeline=Pipeline(Mean()))
    batches = rng.standard_normal((4, 2, 4)).astype(np.float32)
    for batch in batches[:2]:
        step(ours, *batch)
    theirs.load_state_dict(ours.state_dict())
    assert [step(ours, *batch) for batch in batches[2:]] == [step(theirs, *batch) for batch in batches[2:]]


def test_momenta_of_another_run_are_refused() -> None:
    for other in (server_of(1), make_server(baseline(num_workers=2), exchange="full")):
        with pytest.raises(CheckpointError, match="does not fit this run"):
            server_of(2).load_state_dict({**server_of(2).state_dict(), "momentum": other.state_dict()["momentum"]})


def test_a_matrix_of_many_blocks_is_blended_as_one_of_few() -> None:
    rng = np.random.default_rng(0)
    wide = momentum(5, num_parameters=300_001)
    first, second = rng.standard_normal((2, 5, 300_001)).astype(np.float32)
    for rows in (first.copy(), second):
        before = rows.copy()
        wide.blend(rows, range(5))
        wide.keep(dropped=())
    assert np.array_equal(rows, before * np.float32(0.5) + np.float32(0.5) * (first * np.float32(0.5)))


@pytest.mark.parametrize(
    ("keywords", "words"),
    [({"beta": 1.0}, "beta must be"), ({"beta": 0.0}, "beta must be"), ({"form": "mean"}, "form must be one")],
)
def test_bad_parameters_are_refused(keywords: dict[str, Any], words: str) -> None:
    with pytest.raises(ParameterError, match=words):
        ShardMomentum(**{"num_files": 2, "num_parameters": 3, "beta": 0.9, **keywords})
