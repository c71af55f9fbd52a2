"""What a step costs besides its gradients, as the number of workers grows."""

import cProfile
import pstats
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from byzshield.config import RunConfig
from byzshield.runtime import Builder
from byzshield.runtime.simulation import Simulation
from byzshield.training import Adversary, GradientComputer

RANKS = 4


def calls_a_message(config: RunConfig, monkeypatch: pytest.MonkeyPatch) -> float:
    """Calls of functions in a step for each message that the server receives, gradients apart."""
    builder = Builder(config, num_ranks=RANKS)
    server = builder.server()
    workers = {rank: builder.worker(rank) for rank in range(1, RANKS)}
    row = np.ones(builder.computer.size, dtype=np.float32)
    monkeypatch.setattr(GradientComputer, "__call__", lambda self, step, file: row)
    simulation = Simulation(server, workers)
    simulation.run_round()  # what is worked out once a run
    server.close_round(server.aggregate())
    received: list[int] = []
    original = server.receive
    server.receive = lambda *arguments: received.append(1) or original(*arguments)  # type: ignore[func-returns-value,method-assign]
    profile = cProfile.Profile()
    profile.runcall(simulation.run_round)
    total: int = pstats.Stats(profile).total_calls  # type: ignore[attr-defined]
    return total / len(received)


@pytest.mark.parametrize(
    "attack", [pytest.param({"name": "alie"}, id="accomplices"), pytest.param({"name": "silence"}, id="silence")]
)
def test_a_message_costs_no_more_where_there_are_four_times_as_many_workers_and_files(
    tiny_run: Callable[..., RunConfig], monkeypatch: pytest.MonkeyPatch, attack: dict[str, Any]
) -> None:
    costs = []
    for load, replication in ((8, 7), (16, 15)):
        num_workers = load * replication
        members = list(range(num_workers - load, num_workers))  # a copy of each file
        config = tiny_run(
            cluster={"num_workers": num_workers, "chunk_elements": 10**6},
            data={"batch_size": load**2, "image_shape": [1, 2, 2]},
            model={"hidden": []},
            placement={"load": load, "replication": replication},
            attack={"num_byzantine": len(members), "selection": "fixed", "workers": members, **attack},
            aggregation={"num_corrupted": 1},
        )
        costs.append(calls_a_message(config, monkeypatch))
    assert costs[1] < 1.1 * costs[0]


def test_accomplices_on_one_rank_ask_for_each_forged_vector_once(
    tiny_run: Callable[..., RunConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    original = Adversary.forged
    monkeypatch.setattr(Adversary, "forged", lambda self, file: asked.append(file) or original(self, file))  # type: ignore[func-returns-value]
    attack = {"name": "alie", "num_byzantine": 4, "selection": "first"}
    builder = Builder(tiny_run(attack=attack, aggregation={"num_corrupted": 1}))
    server = builder.server()
    Simulation(server, {1: builder.worker(1)}).run_round()
    fetched = server.blame.asked()
    assert len(asked) <= builder.assignment.num_files + sum(fetched[str(worker)]["payloads"] for worker in range(4))
