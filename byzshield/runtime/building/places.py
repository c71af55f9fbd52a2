"""Who computes what: the placement, the ranks, the Byzantine workers, and what they can corrupt."""

import copy
from dataclasses import dataclass, field
from functools import cached_property
from typing import Self

import numpy as np
import torch

from byzshield.attacks import ATTACKS, Attack, Selection
from byzshield.coding import CyclicCode, Decoder
from byzshield.config import RunConfig
from byzshield.distortion import WorstCase, most_undetected, worst_case
from byzshield.errors import ConfigError, ParameterError
from byzshield.log import get_logger
from byzshield.placement import Assignment, build, cyclic, permuted
from byzshield.registry import look_in
from byzshield.runtime.components import MISFITS, make, one_line
from byzshield.runtime.devices import choose_device
from byzshield.runtime.objects import Objects
from byzshield.training import Memories
from byzshield.voting import Detection

__all__ = ["SEARCH_SECONDS", "Places"]

LOG = get_logger(__name__)
SEARCH_SECONDS = 60.0
WORTH_A_WARNING = 1e-3  # of a combination, by which unseen lies can move a sum


@dataclass(frozen=True)
class Places:
    """The part of a `Builder` that needs neither data nor a model.

    Args:
        config: the resolved run file.
        num_ranks: processes, of which rank 0 is the server; 2 puts all workers into one other process.
        witness: the worst-case workers, where the server has worked them out already.
        objects: what a Python program has given in place of names.
        local_rank: which of the processes on this host this one is, from 0.
    """

    config: RunConfig
    num_ranks: int = 2
    witness: tuple[int, ...] = ()
    objects: Objects = field(default_factory=Objects)
    local_rank: int = 0

    def __post_init__(self) -> None:
        look_in(self.config.run.module_dir or "")

    def with_witness(self, workers: tuple[int, ...], num_corrupted: int | None = None) -> Self:
        """The same where the server has said who the worst-case workers are; the model and the data built so far serve on.

        Args:
            workers: them.
            num_corrupted: what it has told its rule, for accomplices that try it out; None if nobody does.
        """
        other = copy.copy(self)  # not `replace`, which would begin with nothing built
        vars(other)["witness"] = workers
        for name in ("selection", "ranks_of_accomplices"):
            vars(other).pop(name, None)
        if num_corrupted is not None:
            vars(other)["num_corrupted"] = num_corrupted
        return other

    @cached_property
    def device(self) -> str:
        """Where this process's models compute."""
        return self._chosen("cluster.device", self.config.cluster.device)

    def _chosen(self, key: str, name: str) -> str:
        return choose_device(key, name, local_rank=self.local_rank, num_devices=torch.cuda.device_count())

    @cached_property
    def assignment(self) -> Assignment:
        """Who computes which file."""
        section = self.config.placement
        assignment = self._assignment() if self.objects.assignment is None else self.objects.assignment
        if self.num_ranks < 2:
            raise ConfigError(
                f"one process cannot train: start the server and {assignment.num_workers} workers with "
                f"mpirun -n {assignment.num_workers + 1}, or use byzshield simulate"
            )
        if self.num_ranks > assignment.num_workers + 1:
            raise ConfigError(
                f"{self.num_ranks} processes are more than the server and {assignment.num_workers} workers: "
                f"use mpirun -n {assignment.num_workers + 1} or fewer"
            )
        if self.config.audit.arbitrate:
            assignment = assignment.arbitrated()
        elif assignment.replication % 2 == 0:
            raise ConfigError(
                f"placement.replication: must be odd, or a vote can tie, unless audit.arbitrate = true settles it; got r = "
                f"{assignment.replication}"
            )
        return permuted(assignment, seed=self.config.run.seed) if section.permute else assignment

    def _assignment(self) -> Assignment:
        section = self.config.placement
        try:
            return build(
                section.scheme,
                num_workers=self.config.cluster.num_workers,
                load=section.load,
                replication=section.replication,
                m=section.m,
                path=section.path,
            )
        except MISFITS as error:
            raise ConfigError(f"placement: {one_line(error)}") from error

    @cached_property
    def rank_of(self) -> list[int]:
        """For each worker the rank that hosts it: blocks of equal size over ranks 1, 2, ..."""
        hosts = self.num_ranks - 1
        return [1 + worker * hosts // self.assignment.num_workers for worker in range(self.assignment.num_workers)]

    @cached_property
    def worst_case(self) -> WorstCase:
        """What the Byzantine workers can corrupt at most; only the server asks."""
        try:
            worst = worst_case(self.assignment, num_byzantine=self.config.attack.num_byzantine, time_limit=SEARCH_SECONDS)
        except ParameterError as error:
            raise ConfigError(f"attack: {error}") from error
        if not worst.exact:
            LOG.warning("the worst case is only known to lie between %d and %d files", worst.c_max, worst.upper_bound)
        return worst

    @cached_property
    def detection(self) -> Detection | None:
        """What finds proven Byzantine workers; None for the plain vote."""
        section = self.config.vote
        if section.name == "exact":
            return None
        bound = self.config.attack.num_byzantine if section.num_byzantine == "auto" else section.num_byzantine
        if 2 * bound >= self.assignment.num_workers:
            raise ConfigError(
                f"vote.num_byzantine: must be less than half of the {self.assignment.num_workers} workers, or nobody can be "
                f"proven Byzantine; got {bound}"
            )
        return Detection(bound, window=section.window)

    @cached_property
    def most_corrupted(self) -> int:
        """Files that may be wrong after the vote, at most; with momenta, those that may ever have been wrong."""
        most, section = self.worst_case.upper_bound, self.config.attack
        momentum = self.config.aggregation.momentum > 0
        if momentum:
            self._require_lasting_files(most)
        if self.detection is None:
            return most
        if section.selection == "random" and section.redraw_every % self.config.vote.window:
            # More than q workers are Byzantine within a window, so honest ones may be discarded.
            return min(self.assignment.num_files, section.num_byzantine * self.assignment.load)
        undetected = most_undetected(
            self.assignment,
            num_byzantine=section.num_byzantine,
            bound=self.detection.bound,
            without_detection=most,
        )
        # Whoever lies about other files in each window can win, one after the other, all those that the plain vote would lose.
        return max(most, undetected) if momentum else undetected

    def _require_lasting_files(self, most: int) -> None:
        """Refuses momenta where other files are wrong at each step: an error lasts in a momentum, so all would be wrong."""
        section = self.config.attack
        drawn = section.selection == "random" and section.redraw_every > 0
        if section.num_byzantine and (drawn or self.config.placement.permute):
            change = "attack.redraw_every" if drawn else "placement.permute"
            raise ConfigError(
                f"aggregation.momentum: with {change}, other files are wrong from step to step, and a momentum keeps what was "
                f"wrong, so that no rule bears it; leave it out or, to see it fail, use --set aggregation.num_corrupted={most}"
            )

    @cached_property
    def selection(self) -> Selection:
        """Who is Byzantine in which step."""
        section = self.config.attack
        workers = section.workers
        if section.selection == "worst" and not workers and section.num_byzantine:
            workers = self.witness or self.worst_case.witness
        try:
            return Selection(
                self.assignment,
                num_byzantine=section.num_byzantine,
                rule=section.selection,
                redraw_every=section.redraw_every,
                files=section.files,
                workers=workers,
                seed=self.config.run.seed,
            )
        except ParameterError as error:
            raise ConfigError(f"attack: {error}") from error

    @cached_property
    def ranks_of_accomplices(self) -> frozenset[int]:
        """The ranks that host a worker which is Byzantine in any step."""
        drawn = self.config.attack.num_byzantine and self.selection.rule == "random"
        workers = range(len(self.rank_of)) if drawn else self.selection.byzantine_at(1)
        return frozenset(self.rank_of[worker] for worker in workers)

    @cached_property
    def attack(self) -> Attack:
        """What the Byzantine workers do."""
        section = self.config.attack
        if self.objects.attack is None:
            attack: Attack = make(ATTACKS, section.name, "attack.name", section.options, known=section.known_keys())
        else:
            attack = copy.deepcopy(self.objects.attack)
        if attack.needs_rule:
            tries = f"attack.name: {section.name} tries out the server's rule on all files"
            if section.knowledge != "omniscient":
                raise ConfigError(f'{tries}; use attack.knowledge = "omniscient" or another attack')
            if self.config.cluster.exchange == "coded":
                raise ConfigError(f'{tries}, and cluster.exchange = "coded" has none; use "digest", "full" or another attack')
        if attack.remembers and not attack.collusive:
            raise ConfigError(f"attack.name: {section.name} remembers, so it must be collusive: one accomplice has its memory")
        if attack.remembers and section.selection == "random" and section.redraw_every:
            raise ConfigError(
                f"attack.redraw_every: {section.name} remembers earlier steps, and workers that were honest then cannot; got "
                f"{section.redraw_every}: use 0, which draws the Byzantine workers once"
            )
        return attack

    @property
    def attack_needs_rule(self) -> bool:
        """Whether what the Byzantine workers send depends on the server's rule."""
        return self.config.attack.num_byzantine > 0 and self.attack.needs_rule

    @cached_property
    def memories(self) -> Memories:
        """What the adversary remembers in this process."""
        return Memories()

    @cached_property
    def code(self) -> CyclicCode | None:
        """How the coded exchange combines files; None for the others."""
        if self.config.cluster.exchange != "coded":
            return None
        assignment, aggregation = self.assignment, self.config.aggregation
        size, held = assignment.num_workers, assignment.replication
        if not np.array_equal(assignment.files_of, cyclic(num_workers=size, replication=held).files_of):
            raise ConfigError(f'cluster.exchange: "coded" needs placement.scheme = "cyclic"; got {assignment.scheme!r}')
        if aggregation.rule != "mean" or aggregation.pre:
            raise ConfigError(
                'cluster.exchange: "coded" recovers the mean of all files and none of them alone, so it needs '
                f'aggregation.rule = "mean" and no aggregation.pre; got {aggregation.rule!r} and {list(aggregation.pre)}'
            )
        if aggregation.momentum:
            raise ConfigError(
                'cluster.exchange: "coded" recovers no file alone, so none has a momentum; leave out aggregation.momentum'
            )
        if self.config.placement.permute:
            raise ConfigError('cluster.exchange: "coded" needs workers that keep their places; leave out placement.permute')
        if self.config.vote.name != "exact":
            raise ConfigError(f'cluster.exchange: "coded" has no votes; leave out vote.name, which is {self.config.vote.name!r}')
        errors, num_byzantine = (held - 1) // 2, self.config.attack.num_byzantine
        if num_byzantine > errors and aggregation.num_corrupted == "auto":
            raise ConfigError(
                f"attack.num_byzantine: the cyclic code of replication {held} withstands {errors} workers; got {num_byzantine}: "
                f"use placement.replication = {2 * num_byzantine + 1} or, to see it fail, --set aggregation.num_corrupted=0"
            )
        code = CyclicCode(num_workers=size, num_errors=errors)
        if Decoder(code).unseen_harm > WORTH_A_WARNING:
            LOG.warning(
                "a cyclic code of %d workers and s = %d is at the limits of float64: s liars side by side can move the mean",
                size,
                errors,
            )
        return code

    @property
    def on_request(self) -> bool:
        """Whether copies that nobody needs if nobody fails wait for a request.

        Not where all votes count; nor where each worker has one file, since those who wait could then not be told from the
        silent, and fewer than half of all workers could keep the others without a measure of who is late.
        """
        return self.config.cluster.exchange == "digest" and self.detection is None and self.assignment.load > 1
