"""What a step costs besides its gradients, as the number of workers grows."""

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import numpy as np
import pytest

from byzshield.config import RunConfig
from byzshield.runtime import Builder
from byzshield.runtime.simulation import Simulation
from byzshield.training import Adversary, GradientComputer
from byzshield.wire import Message, Packet

RANKS = 4


class Lines:
    """Counts the lines that are executed, and each turn of a loop or a comprehension as one more."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, frame: FrameType, event: str, argument: Any) -> "Lines":
        self.count += 1
        return self


def lines_a_message(config: RunConfig, monkeypatch: pytest.MonkeyPatch) -> float:
    """Lines executed in a step for each message that the server receives, gradients apart."""
    builder = Builder(config, num_ranks=RANKS)
    server = builder.server()
    workers = {rank: builder.worker(rank) for rank in range(1, RANKS)}
    row = np.ones(builder.computer.size, dtype=np.float32)
    monkeypatch.setattr(GradientComputer, "__call__", lambda self, step, file, poison: row)
    simulation = Simulation(server, workers)
    simulation.run_round()  # what is worked out once a run
    server.close_round(server.aggregate())
    received: list[float | None] = []
    original = server.receive

    def receive(packet: Packet, now: float) -> list[Message]:
        outgoing = original(packet, now)
        received.append(server.next_deadline())  # which a server that waits for messages asks for with each
        return outgoing

    monkeypatch.setattr(server, "receive", receive)
    lines, before = Lines(), sys.gettrace()
    sys.settrace(lines)
    try:
        simulation.run_round()
    finally:
        sys.settrace(before)
    return lines.count / len(received)


@pytest.mark.parametrize(
    "attack", [pytest.param({"name": "alie"}, id="accomplices"), pytest.param({"name": "silence"}, id="silence")]
)
def test_a_message_costs_no_more_where_there_are_twice_as_many_workers_and_four_times_as_many_files(
    tiny_run: Callable[..., RunConfig], monkeypatch: pytest.MonkeyPatch, attack: dict[str, Any]
) -> None:
    costs = []
    for load in (8, 16):
        num_workers = 7 * load
        members = list(range(num_workers - load, num_workers))  # a copy of each file
        config = tiny_run(
            cluster={"num_workers": num_workers, "chunk_elements": 10**6},
            data={"batch_size": load**2, "image_shape": [1, 2, 2]},
            model={"hidden": []},
            placement={"load": load, "replication": 7},
            attack={"num_byzantine": len(members), "selection": "fixed", "workers": members, **attack},
            aggregation={"num_corrupted": 1},
        )
        costs.append(lines_a_message(config, monkeypatch))
    assert costs[1] <= costs[0], costs


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
