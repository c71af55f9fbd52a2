"""A real parameter server on a model of three numbers, driven event by event."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from byzshield.aggregation import Aggregator, Mean, Pipeline
from byzshield.arrays import Float32
from byzshield.models import FlatModel
from byzshield.placement import Assignment
from byzshield.training import ParameterServer, TrainingState
from byzshield.wire import ArrayEncoder, ChunkLayout, Frame, Kind, Message, Packet, messages

__all__ = ["LAYOUT", "TIMEOUT", "Peers", "further_votes", "gradient", "make_server", "requests", "wait"]

LAYOUT = ChunkLayout(4, 2)  # two chunks: elements 0 and 1, and element 2 with the loss
TIMEOUT = 10.0
ENCODER = ArrayEncoder("off")


def gradient(*values: float, loss: float = 0.5) -> Float32:
    """What a worker computes: three gradients, and the loss."""
    return np.array([*values, loss], dtype=np.float32)


def make_server(
    assignment: Assignment, *, rank_of: Sequence[int] | None = None, rule: Aggregator | None = None, **options: Any
) -> ParameterServer:
    """A server whose parameters are 0 and whose optimizer is SGD with a learning rate of 1; by default one worker a rank."""
    model = FlatModel(nn.Linear(3, 1, bias=False))
    model.load_parameters(np.zeros(3, dtype=np.float32))
    optimizer = torch.optim.SGD([nn.Parameter(model.parameters)], lr=1.0)
    return ParameterServer(
        assignment=assignment,
        rank_of=list(rank_of or range(1, assignment.num_workers + 1)),
        encoder=ENCODER,
        **{
            "state": TrainingState(model=model, optimizer=optimizer, scheduler=None),
            "pipeline": Pipeline(rule or Mean()),
            "layout": LAYOUT,
            "exchange": "digest",
            "round_timeout": TIMEOUT,
            "quorum": 0.0,
            **options,
        },
    )


class Peers:
    """All that workers can send, handed straight to a server, one worker a rank: worker w is on rank w + 1."""

    def __init__(self, server: ParameterServer) -> None:
        self.server = server
        self.further: list[tuple[int, int]] = []  # (worker, file) that were to be computed after all

    def send(self, frame: Frame, *, source: int | None = None, now: float = 0.0) -> list[tuple[int, int, int]]:
        """Delivers a frame from the rank of its worker; returns the server's requests as (worker, file, chunk)."""
        message = frame.to(0)
        rank = frame.worker + 1 if source is None else source
        packet = Packet(source=rank, tag=message.tag, data=message.data, num_bytes=len(message.data))
        outgoing = self.server.receive(packet, now)
        self.further += further_votes(outgoing)
        return requests(outgoing)

    def vote(self, worker: int, file: int, values: Float32, *, step: int = 1, now: float = 0.0) -> list[tuple[int, int, int]]:
        return self.send(messages.digests(worker, step, file, LAYOUT.digests(values)), now=now)

    def pay(
        self, worker: int, file: int, values: Float32, *, step: int = 1, chunks: Sequence[int] = (0, 1), now: float = 0.0
    ) -> list[tuple[int, int, int]]:
        """Delivers chunks of a gradient."""
        answer = []
        for chunk in chunks:
            (frame,) = messages.gradient_chunks(worker, step, file, values, layout=LAYOUT, encoder=ENCODER, chunk=chunk)
            answer += self.send(frame, now=now)
        return answer


def requests(outgoing: list[Message]) -> list[tuple[int, int, int]]:
    """The FETCH requests among messages, as (worker, file, chunk)."""
    frames = [Frame.decode(message.data, bounds={Kind.FETCH: 0}) for message in outgoing if message.tag == Kind.FETCH]
    return [(frame.worker, frame.file, frame.chunk) for frame in frames]


def further_votes(outgoing: list[Message]) -> list[tuple[int, int]]:
    """The COMPUTE requests among messages, as (worker, file)."""
    frames = [Frame.decode(message.data, bounds={Kind.COMPUTE: 0}) for message in outgoing if message.tag == Kind.COMPUTE]
    return [(frame.worker, frame.file) for frame in frames]


def wait(server: ParameterServer, *, until: float) -> list[tuple[int, int, int]]:
    """Lets time pass in which nobody says anything; returns the server's requests as (worker, file, chunk)."""
    asked = []
    while (deadline := server.next_deadline()) is not None and deadline <= until:
        asked += requests(server.tick(deadline))
    return asked
