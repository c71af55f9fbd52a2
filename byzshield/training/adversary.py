"""The adversary inside the processes of its workers: gathers gradients, forges, and agrees on what to send."""

from collections.abc import Callable, Set
from dataclasses import replace

import numpy as np

from byzshield.aggregation import Pipeline
from byzshield.arrays import Float32
from byzshield.attacks import Attack, Defense, Memory, Selection, Situation
from byzshield.choices import Knowledge, require_choice
from byzshield.errors import FrameError
from byzshield.placement import Assignment
from byzshield.seeding import generator
from byzshield.training.early_frames import EarlyFrames
from byzshield.training.gradient import Poison
from byzshield.training.memories import Memories
from byzshield.wire import ChunkLayout, Frame, Kind, Message, Packet, messages

__all__ = ["Adversary"]


class Adversary:
    """One rank's share of the adversary.

    For a collusive attack the accomplices split the files that they know: with knowledge "own" those that they were given,
    with "omniscient" all files of the step (the adversary knows data and parameters, so it computes what it was not given).
    Each sends its gradients to the leader, the rank of the lowest Byzantine worker, which forges one vector and sends it
    back. Nothing here blocks; messages of steps that are over are dropped, those of steps to come wait. What a rank cannot send
    yet stays in its `outbox`, to the end of the step.

    Accomplices whose process dies are left out (`lose`), each rank as soon as it hears of it: the others compute what was theirs,
    and the next one leads. What is forged is a function of the step, so it is the same whoever leads, but for what an attack
    remembers: that is the leader's, and whoever takes the place of one that is expelled or dead begins anew.

    Behind its p gradients a vector has the s statistics of the pass (those of BatchNorm, the loss). As published, they are not
    forged: accomplices send those of the file as they are, which the leader sends along with the forged gradient.

    Files that the selection does not have them forge, the members send as they are; each rank computes those of its members.

    Args:
        rank: this rank.
        attack: what to forge.
        selection: who is Byzantine when.
        knowledge: "own" or "omniscient".
        rank_of: for each worker the rank that hosts it.
        layout: the chunks of a gradient; its size is d.
        num_parameters: p.
        forge_statistics: whether the attack forges all d values, and not only the p gradients.
        seed: the run's seed.
        read_parameters: copies the parameters of the step, float32 [p], for an attack that remembers.
        memories: what leaders have noted in earlier steps.
        poison: what an attack that poisons makes of a batch.
        rule: the server's, for an attack that `needs_rule`.

    Attributes:
        members_here: the Byzantine workers of this rank and step that are not expelled.
        outbox: what accomplices are to get.
        congested: whether somebody has no room for it; set from outside.

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
        num_parameters: int,
        forge_statistics: bool,
        seed: int,
        read_parameters: Callable[[], Float32],
        memories: Memories,
        poison: Poison | None = None,
        rule: Pipeline | None = None,
    ) -> None:
        require_choice("knowledge", knowledge, Knowledge)
        self.attack = attack
        self.members_here: tuple[int, ...] = ()
        self.outbox: list[Message] = []
        self.congested = False
        self._rank = rank
        self._selection = selection
        self._knowledge = knowledge
        self._rank_of = rank_of
        self._size = layout.size
        self._num_forged = layout.size if forge_statistics else num_parameters
        self._num_parameters = num_parameters
        self._seed = seed
        self._rule = rule
        self._read_parameters = read_parameters
        self._memories = memories
        self._poison = poison
        self._leader = 0  # the worker
        self._parameters: Float32 | None = None
        self._memory: Memory = {}
        self._step = self._attempt = 0
        self._dead: Set[int] = frozenset()  # ranks
        self._members: tuple[int, ...] = ()  # who is Byzantine in this step
        self._able: tuple[int, ...] = ()  # those of them who are neither expelled nor dead
        self._ranks: list[int] = []  # of these; the first one leads
        self._owners: dict[int, int] = {}
        self._own: set[int] = set()  # the files that this rank computes for all
        self._given: set[int] = set()  # those whose gradients the leader has from here, or does not need
        self._rows: dict[int, Float32] = {}  # for a local attack, what is sent for each file
        self._known = np.empty((0, layout.size), dtype=np.float32)  # at the leader, the gradients of all known files
        self._missing: dict[int, int] = {}  # files of which it has no gradient yet, and their rows
        self._news: Float32 | None = None  # what the leader sends
        self._forged: Float32 | None = None  # for a collusive attack, the same for every file
        self._true: dict[int, Float32] = {}  # what is not forged of each file's vector
        self._held: set[int] = set()  # files that the members here hold, or were asked for besides
        self._taken_on: set[int] = set()  # those that no accomplice was given
        self._unforged: dict[int, Float32 | None] = {}  # those of them that are sent as they are
        self._early = EarlyFrames(selection.assignment.num_files)
        self._fresh: set[int] = set()
        self._split_before: tuple[Assignment, tuple[int, ...], tuple[int, ...], dict[int, int]] | None = None
        self.accepts = messages.accepted_by_adversary(
            gradient=self._size, forged=self._forged_size(selection.assignment.num_files)
        )

    def begin(self, step: int, *, attempt: int = 0, without: frozenset[int] = frozenset()) -> list[int]:
        """Starts a step; returns the files that this rank computes for the accomplices, ascending.

        Args:
            step: the training step.
            attempt: how often the server had gone back to an earlier one before.
            without: workers that are expelled. The others compute what those were given, so that the attack stays the same.
        """
        self._step, self._attempt = step, attempt
        self._members = self._selection.byzantine_at(step)
        able = tuple(worker for worker in self._members if worker not in without)
        self.members_here = tuple(worker for worker in able if self._rank_of[worker] == self._rank)
        self._ranks = []
        self._owners = {}
        self._rows = {}
        self._news = self._forged = None
        self._true = {}
        self._fresh = set()
        files_of, targets = self._selection.assignment.at(step).files_of, self._selection.forged_at(step)
        self._held = {file for worker in self.members_here for file in files_of[worker].tolist()}
        self._unforged = dict.fromkeys(sorted(self._held - set(targets)))
        self._taken_on = set()
        return self._share_out(able)

    def lose(self, ranks: Set[int]) -> list[int]:
        """Goes on without ranks that are dead; returns the files that this one now computes for all besides, ascending."""
        if ranks <= self._dead:
            return []
        self._dead = frozenset({*self._dead, *ranks})
        return self._share_out(self._able)

    def take_on(self, file: int) -> None:
        """Is asked for a file that the members here do not hold; they forge it, too, if they forge all of theirs."""
        if file in self._held:
            return
        self._held.add(file)
        if self._selection.files != "all":
            self._unforged[file] = None
        elif self.attack.collusive and file not in self._owners:
            self._taken_on.add(file)

    @property
    def held_back(self) -> Set[int]:
        """Files that are not to be computed yet, since the leader has not taken what this rank had for it before."""
        return self._own - self._given if self.congested else frozenset()

    def computes(self, file: int) -> bool:
        """Whether what a member here sends for `file` is known only if this rank computes it."""
        return not self.attack.collusive or file in self._unforged or file in self._taken_on

    def poison_of(self, file: int) -> Poison | None:
        """What the samples of `file` go through before the gradient that `learn` gets; None if it is the true one."""
        used = file in self._own or file in self._taken_on
        used |= not self.attack.collusive and file in self._held
        return self._poison if used and self.members_here and file not in self._unforged else None

    def learn(self, file: int, gradient: Float32) -> None:
        """Takes a gradient that this rank has computed, of poisoned samples where `poison_of` says so."""
        if not self.members_here:
            return
        if file in self._unforged:
            self._unforged[file] = gradient
            self._fresh.add(file)
        elif file in self._taken_on:
            self._true[file] = gradient[self._num_forged :]
            self._fresh.add(file)
        elif not self.attack.collusive and file in self._held:
            forged = self._forge(gradient[: self._num_forged], file)
            self._rows[file] = np.concatenate([forged, gradient[self._num_forged :]])
            self._fresh.add(file)
        if file in self._own and file not in self._given:
            self._given.add(file)
            if self._leads:
                self._gather(file, gradient)
            else:
                frame = messages.forged(Kind.GRADIENT, self._step, file, gradient)
                self.outbox.append(frame.telling(self._ranks[0], attempt=self._attempt))

    def forged(self, file: int) -> Float32 | None:
        """What the members here send for `file`, forged or not, float32 [d]; None while it is not known."""
        if file in self._unforged:
            return self._unforged[file]
        if not self.attack.collusive:
            return self._rows.get(file)
        if self._forged is None or self._num_forged == self._size:
            return self._forged
        return np.concatenate([self._forged, self._true[file]]) if file in self._true else None

    def take_fresh(self) -> set[int]:
        """The files of which it has become known since the last call what the members here send."""
        fresh, self._fresh = self._fresh, set()
        return fresh

    def receive(self, packet: Packet) -> None:
        """Takes a message from an accomplice; nonsense is dropped."""
        try:
            self._take(packet.source, self.accepts.open(packet))
        except FrameError:
            return

    @property
    def _leads(self) -> bool:
        return bool(self._owners) and self._rank == self._ranks[0]

    def _share_out(self, able: tuple[int, ...]) -> list[int]:
        """Splits the known files among those who are alive; returns those that are new to this rank, ascending."""
        self._able = tuple(worker for worker in able if self._rank_of[worker] not in self._dead)
        leader, self._ranks = self._ranks[:1], list(dict.fromkeys(self._rank_of[worker] for worker in self._able))
        self._owners = self._split(self._members, self._able) if self.attack.collusive and self.members_here else {}
        self._own = {file for file, owner in self._owners.items() if owner in self.members_here}
        if self._ranks[:1] != leader:
            self._follow()
        for source, frame in self._early.take(self._attempt, self._step):
            self._take(source, frame)
        return sorted(self._own - self._given)

    def _follow(self) -> None:
        """Begins to lead, or to send to another leader, who may know nothing of this step yet."""
        self.outbox, self.congested, self._given, self._missing = [], False, set(), {}
        if self._leads and self._news is not None:
            self._given.update(self._owners)
            self._pass_on(self._news)
        elif self._leads:
            self._missing = {file: row for row, file in enumerate(sorted(self._owners))}
            if self.attack.remembers:
                self._leader, self._parameters = self._able[0], self._read_parameters()
                self._memory = self._memories.before(self._step, self._leader)
        if len(self._known) != len(self._missing):
            self._known = np.empty((len(self._missing), self._size), dtype=np.float32)

    def _split(self, members: tuple[int, ...], able: tuple[int, ...]) -> dict[int, int]:
        """Gives each file that members know to the able one with the least to do, if possible one that holds it."""
        assignment = self._selection.assignment.at(self._step)
        if self._split_before is not None and self._split_before[0] is assignment and self._split_before[1:3] == (members, able):
            return self._split_before[3]
        share = dict.fromkeys(able, 0)
        owners: dict[int, int] = {}
        known = np.isin(assignment.workers_of, members).any(axis=1) | (self._knowledge == "omniscient")
        held = {
            file: [worker for worker in assignment.workers_of[file].tolist() if worker in share]
            for file in np.flatnonzero(known).tolist()
        }
        for file, holders in sorted(held.items(), key=lambda item: (not item[1], item[0])):
            owners[file] = min(holders or able, key=lambda worker: (share[worker], worker))
            share[owners[file]] += 1
        self._split_before = assignment, members, able, owners
        return owners

    def _take(self, source: int, frame: Frame) -> None:
        when, now = (frame.attempt, frame.step), (self._attempt, self._step)
        if when > now:
            self._early.keep(source, frame)
        if when != now or not self._owners or self._news is not None:
            return
        if not (self._leads if frame.kind is Kind.GRADIENT else source == self._ranks[0]):
            self._early.keep(source, frame)  # its sender may have heard already that the leader is dead
        elif frame.kind is Kind.GRADIENT:
            gradient = np.empty(self._size, dtype=np.float32)
            messages.read_vector(frame, gradient)
            self._gather(frame.file, gradient)
        else:
            news = np.empty(self._forged_size(len(self._owners)), dtype=np.float32)
            messages.read_vector(frame, news)
            self._take_up(news)

    def _gather(self, file: int, gradient: Float32) -> None:
        """At the leader: keeps a row, and forges once all are there."""
        if file not in self._missing:
            return
        self._known[self._missing.pop(file)] = gradient
        if not self._missing:
            forged = self._forge(self._known[:, : self._num_forged], None)
            if self.attack.remembers:  # before anybody hears of the forgery, so that no step is done without its notes
                self._memories.keep(self._step, self._leader, self._memory)
            news = np.concatenate([forged, self._known[:, self._num_forged :].ravel()])
            self._take_up(news)
            self._pass_on(news)

    def _pass_on(self, news: Float32) -> None:
        """At the leader: sends to all others what is forged."""
        frame = messages.forged(Kind.PARAMETERS, self._step, 0, news)
        self.outbox += replace(frame, attempt=self._attempt).to_all(self._ranks[1:])

    def _forged_size(self, num_files: int) -> int:
        """Elements of what the leader sends: the forged vector, then what is not forged of each known file."""
        return self._num_forged + num_files * (self._size - self._num_forged)

    def _take_up(self, news: Float32) -> None:
        """Takes what the leader sends apart."""
        self._news, self._forged = news, news[: self._num_forged]
        self._given.update(self._owners)
        rest = news[self._num_forged :].reshape(len(self._owners), -1)
        self._true |= zip(sorted(self._owners), rest, strict=True)
        self._fresh |= self._held - self._unforged.keys()

    def _honest_copies(self) -> tuple[int, ...]:
        """How many honest workers hold each known file, in the order of the files."""
        assignment, members = self._selection.assignment.at(self._step), self._selection.byzantine_at(self._step)
        held = np.isin(assignment.workers_of[sorted(self._owners)], members).sum(axis=1)
        return tuple((assignment.replication - held).tolist())

    def _forge(self, gradients: Float32, file: int | None) -> Float32:
        keys = (self._step,) if file is None else (self._step, file)
        won = self._selection.corrupted_at(self._step)
        corrupted = [] if file is not None else [row for row, known in enumerate(sorted(self._owners)) if known in won]
        defense = None
        if self._rule is not None and file is None:
            defense = Defense(self._rule, gradients[:, : self._num_parameters], corrupted=corrupted, step=self._step)
        situation = Situation(
            step=self._step,
            num_rows=self._selection.assignment.num_files,
            num_corrupted=len(won),
            honest_copies=self._honest_copies() if file is None else (),
            files=tuple(sorted(self._owners)) if file is None else (),
            corrupted=tuple(corrupted),
            defense=defense,
            parameters=self._parameters,
            memory=self._memory,
            rng=generator(self._seed, "attack", *keys),
        )
        return np.ascontiguousarray(self.attack.forge(gradients, situation), dtype=np.float32)
