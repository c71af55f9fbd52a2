"""The adversary inside the processes of its workers: gathers gradients, forges, and agrees on what to send."""

import numpy as np

from byzshield.arrays import Float32
from byzshield.attacks import Attack, Selection, Situation
from byzshield.choices import Knowledge, require_choice
from byzshield.errors import FrameError
from byzshield.seeding import generator
from byzshield.wire import ChunkLayout, Frame, Kind, Message, Packet, messages

__all__ = ["Adversary"]


class Adversary:
    """One rank's share of the adversary.

    For a collusive attack the accomplices split the files that they know: with knowledge "own" those that they were given,
    with "omniscient" all files of the step (the adversary knows data and parameters, so it computes what it was not given).
    Each sends its gradients to the leader, the rank of the lowest Byzantine worker, which forges one vector and sends it
    back. Nothing here blocks; messages of steps that are over are dropped, those of steps to come wait.

    Args:
        rank: this rank.
        attack: what to forge.
        selection: who is Byzantine when.
        knowledge: "own" or "omniscient".
        rank_of: for each worker the rank that hosts it.
        layout: the chunks of a gradient; its size is d.
        seed: the run's seed.

    Raises:
        ParameterError: unknown knowledge.
    """

    def __init__(
        self,
        *,
        rank: int,
        attack: Attack,
        selection: Selection,
        knowledge: Knowledge,
        rank_of: list[int],
        layout: ChunkLayout,
        seed: int,
    ) -> None:
        require_choice("knowledge", knowledge, Knowledge)
        self.attack = attack
        self.members_here: tuple[int, ...] = ()
        self.outbox: list[Message] = []
        self._rank = rank
        self._selection = selection
        self._knowledge = knowledge
        self._rank_of = rank_of
        self._size = layout.size
        self._seed = seed
        self._step = 0
        self._ranks: list[int] = []
        self._owners: dict[int, int] = {}
        self._rows: dict[int, Float32] = {}
        self._vector: Float32 | None = None
        self._early: list[tuple[int, Frame]] = []
        self.accepts = messages.accepted_by_adversary(layout)

    def begin(self, step: int) -> list[int]:
        """Starts a step; returns the files that this rank computes for the adversary, ascending."""
        members = self._selection.byzantine_at(step)
        self._step = step
        self.members_here = tuple(worker for worker in members if self._rank_of[worker] == self._rank)
        self._ranks = list(dict.fromkeys(self._rank_of[worker] for worker in members))
        self._rows = {}
        self._vector = None
        early, self._early = self._early, []
        self._owners = self._split(members) if self.attack.collusive and self.members_here else {}
        for source, frame in early:
            self._take(source, frame)
        if not self.attack.collusive:
            files_of = self._selection.assignment.files_of
            return sorted({file for worker in self.members_here for file in files_of[worker].tolist()})
        return sorted(file for file, owner in self._owners.items() if owner in self.members_here)

    def learn(self, file: int, gradient: Float32) -> None:
        """Takes a gradient that this rank has computed."""
        if not self.members_here:
            return
        if not self.attack.collusive:
            self._rows[file] = self._forge(gradient, file)
        elif self._owners.get(file) in self.members_here:
            if self._rank == self._ranks[0]:
                self._gather(file, gradient)
            else:
                self.outbox.append(messages.forged(Kind.GRADIENT, self._step, file, gradient).to(self._ranks[0]))

    def forged(self, file: int) -> Float32 | None:
        """What the members here send for `file`; None while it is not known."""
        return self._vector if self.attack.collusive else self._rows.get(file)

    def receive(self, packet: Packet) -> None:
        """Takes a message from an accomplice; nonsense is dropped."""
        try:
            self._take(packet.source, self.accepts.open(packet))
        except FrameError:
            return

    def _split(self, members: tuple[int, ...]) -> dict[int, int]:
        """Gives each known file to the member with the least to do, if possible one that holds it."""
        assignment = self._selection.assignment
        share = dict.fromkeys(members, 0)
        owners: dict[int, int] = {}
        held = {
            file: [worker for worker in assignment.workers_of[file].tolist() if worker in share]
            for file in range(assignment.num_files)
        }
        for file, holders in sorted(held.items(), key=lambda item: (not item[1], item[0])):
            if not holders and self._knowledge == "own":
                continue
            owners[file] = min(holders or members, key=lambda worker: (share[worker], worker))
            share[owners[file]] += 1
        return owners

    def _take(self, source: int, frame: Frame) -> None:
        if frame.step > self._step:
            self._early.append((source, frame))
        if frame.step != self._step or not self.members_here or not self.attack.collusive:
            return
        vector = np.empty(self._size, dtype=np.float32)
        messages.read_vector(frame, vector)
        if frame.kind is Kind.GRADIENT:
            if self._rank == self._ranks[0]:
                self._gather(frame.file, vector)
        elif source == self._ranks[0]:
            self._vector = vector

    def _gather(self, file: int, gradient: Float32) -> None:
        """At the leader: keeps a row, and forges once all are there."""
        self._rows[file] = gradient
        if self._vector is None and self._rows.keys() == self._owners.keys():
            self._vector = self._forge(np.stack([self._rows[known] for known in sorted(self._rows)]), None)
            self._rows.clear()
            news = messages.forged(Kind.PARAMETERS, self._step, 0, self._vector)
            self.outbox += [news.to(rank) for rank in self._ranks[1:]]

    def _forge(self, gradients: Float32, file: int | None) -> Float32:
        keys = (self._step,) if file is None else (self._step, file)
        situation = Situation(
            step=self._step,
            num_rows=self._selection.assignment.num_files,
            num_corrupted=len(self._selection.corrupted_at(self._step)),
            rng=generator(self._seed, "attack", *keys),
        )
        return np.ascontiguousarray(self.attack.forge(gradients, situation), dtype=np.float32)
