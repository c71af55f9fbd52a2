"""How much workers compute, and what the server asks of whom."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from byzshield.config import RunConfig
from byzshield.placement import Assignment, frc, mols, ramanujan2
from byzshield.runtime import simulate
from byzshield.training import GradientComputer, ParameterServer
from byzshield.training.worker import postponed
from byzshield.wire import Kind, Message, Packet

Maker = Callable[..., RunConfig]


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> Counter[tuple[int, int]]:
    """Counts how often each (step, file) is computed."""
    counts: Counter[tuple[int, int]] = Counter()
    compute = GradientComputer.__call__

    def counting(self: GradientComputer, step: int, file: int) -> Any:
        counts[step, file] += 1
        return compute(self, step, file)

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
