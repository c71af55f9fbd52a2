"""What the server holds: the winners once, and of the parameters no copy but the message."""

import tracemalloc
from typing import Any

import numpy as np
import pytest
import torch
from event_driven_server import ENCODER, Peers, make_server
from torch import nn

from byzshield.aggregation import Aggregate, Krum, Pipeline
from byzshield.aggregation.pre import NNM
from byzshield.arrays import Float32
from byzshield.models import FlatModel
from byzshield.placement import frc
from byzshield.training import ParameterServer, TrainingState
from byzshield.wire import ChunkLayout, messages

FILES = 16
LAYOUT = ChunkLayout(200_000, 1 << 16)
VECTOR = 4 * LAYOUT.size  # bytes


def make_large(pre: list[Any]) -> ParameterServer:
    model = FlatModel(nn.Linear(LAYOUT.size - 1, 1, bias=False))
    optimizer = torch.optim.SGD([nn.Parameter(model.parameters)], lr=0.1)
    return make_server(
        frc(num_workers=3 * FILES, replication=3),
        state=TrainingState(model=model, optimizer=optimizer, scheduler=None),
        pipeline=Pipeline(Krum(num_corrupted=2), pre),
        layout=LAYOUT,
        exchange="full",
    )


def play(server: ParameterServer, vectors: Float32, *, missing: int) -> Aggregate:
    """A round in which the copies of one file are all different."""
    server.open_round(0.0)
    peers = Peers(server)
    for worker in (3 * file + copy for copy in range(3) for file in range(FILES)):
        file = worker // 3
        vector = vectors[file] + np.float32(worker if file == missing else 0)
        for frame in messages.gradient_chunks(worker, 1, file, vector, layout=LAYOUT, encoder=ENCODER):
            peers.send(frame)
    return server.aggregate()


@pytest.mark.parametrize("pre", [[], [NNM()]], ids=["rule alone", "nnm"])
@pytest.mark.parametrize("wrong", [False, True], ids=["all finite", "one not finite"])
def test_neither_a_lost_file_nor_one_that_is_not_finite_takes_a_second_matrix(pre: list[Any], wrong: bool) -> None:
    vectors = np.random.default_rng(0).standard_normal((FILES, LAYOUT.size), dtype=np.float32)
    vectors[5, 7] = np.nan if wrong else 0.0
    server = make_large(pre)
    here = np.delete(vectors, 3, axis=0)[:, :-1]
    expected = Pipeline(Krum(num_corrupted=2), pre)(here, step=1)  # which has compiled what is measured below
    Pipeline(Krum(num_corrupted=2), pre)(here[:, :1000].copy(), in_place=True)
    tracemalloc.start()
    aggregate = play(server, vectors, missing=3)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    np.testing.assert_array_equal(aggregate.vector, expected.vector)
    assert aggregate.non_finite == expected.non_finite == ((4,) if wrong else ())
    assert peak < FILES / 2 * VECTOR  # the message, three vectors of this test, two of the lost file, the aggregate


def test_the_parameters_are_copied_once_into_the_message_and_the_aggregate_is_let_go() -> None:
    server = make_large([])
    tracemalloc.start()
    outgoing = server.open_round(0.0)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1.5 * VECTOR
    assert len({id(message.data) for message in outgoing}) == 1
    server.state.apply(np.ones(LAYOUT.size - 1, np.float32), np.zeros(1, np.float32))
    assert all(parameter.grad is None for group in server.state._optimizer.param_groups for parameter in group["params"])
