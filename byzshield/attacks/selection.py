"""Which workers are Byzantine: by a list, by number, at random, the worst case for the placement, or by their groups."""

from collections.abc import Sequence
from functools import cached_property, lru_cache

import numpy as np

from byzshield.choices import ForgedFiles, SelectionRule, require_choice
from byzshield.distortion import worst_case
from byzshield.errors import ParameterError
from byzshield.placement import Assignment
from byzshield.seeding import generator

__all__ = ["Selection"]


class Selection:
    """Says who is Byzantine in each step; every process that has the configuration gets the same answer.

    Args:
        assignment: the placement.
        num_byzantine: q, 0 <= q <= K.
        rule: "worst" takes a set that corrupts c_max(q) files; "first" takes workers 0 to q - 1; "fixed" takes `workers`;
            "random" draws q workers. The attacks on DETOX (Rajput et al., NeurIPS 2019) need groups of r workers that hold the
            same files: "detox_worst" takes r' workers of each group, one group after another, and once all groups are
            corrupted the rest of each; "detox_benign" one worker of each group, and round again; "detox_whole_group" all of
            one group, then of the next.
        redraw_every: steps for which a draw of rule "random" holds, from step 1; 0 draws once for the run.
        files: which of their files they forge. The attacks on Aspis (Konstantinidis et al., IEEE/ACM ToN 2023): "all" is ATT-1;
            "disagreement" is ATT-2, those whose honest holders are all among the first q honest workers, so that the Byzantine
            workers with all other honest ones are as large a clique as the honest ones; "majority" is ATT-3, those of which
            they hold at least r' copies.
        workers: the q workers of rule "fixed", from 0; for "worst" a set that was computed before, or nothing.
        seed: the run's seed, for rule "random".

    Raises:
        ParameterError: q, the list or the rule does not fit the placement, or an argument does not belong to the rule.
    """

    def __init__(
        self,
        assignment: Assignment,
        *,
        num_byzantine: int,
        rule: SelectionRule,
        redraw_every: int = 1,
        files: ForgedFiles = "all",
        workers: Sequence[int] = (),
        seed: int = 0,
    ) -> None:
        num_workers = assignment.num_workers
        require_choice("selection", rule, SelectionRule)
        require_choice("files", files, ForgedFiles)
        assignment.require_workers(num_byzantine)
        if rule == "fixed" or (rule == "worst" and workers):
            if len(set(workers)) != num_byzantine or any(not 0 <= worker < num_workers for worker in workers):
                raise ParameterError(
                    f"a {rule} selection needs workers = {num_byzantine} different numbers from 0 to {num_workers - 1}; "
                    f"got {list(workers)}"
                )
        elif workers:
            raise ParameterError(f"workers belong to selection 'fixed'; the selection is {rule!r}")
        if redraw_every < 0:
            raise ParameterError(f"redraw_every must be at least 0 steps; got {redraw_every}")
        if redraw_every != 1 and rule != "random":
            raise ParameterError(f"redraw_every belongs to selection 'random'; the selection is {rule!r}")
        self.assignment = assignment
        self.num_byzantine = num_byzantine
        self.rule = rule
        self.files = files
        self._redraw_every = redraw_every
        self._listed = tuple(sorted(workers))
        self._seed = seed
        self._groups = _groups(assignment) if rule.startswith("detox_") else []
        if rule.startswith("detox_") and not self._groups:
            raise ParameterError(
                f"selection {rule!r} needs groups of {assignment.replication} workers that hold the same files, as scheme 'frc' "
                f"has them; got scheme {assignment.scheme!r}"
            )
        self.corrupted_at = lru_cache(maxsize=8)(self._corrupted_at)
        self.forged_at = lru_cache(maxsize=8)(self._forged_at)

    def byzantine_at(self, step: int) -> tuple[int, ...]:
        """The Byzantine workers of `step`, ascending."""
        if self.rule == "random":
            drawn_at = step - (step - 1) % self._redraw_every if self._redraw_every else 1
            rng = generator(self._seed, "selection", drawn_at)
            drawn = rng.choice(self.assignment.num_workers, size=self.num_byzantine, replace=False)
            return tuple(sorted(int(worker) for worker in drawn))
        return self._constant

    def _corrupted_at(self, step: int, discarded: tuple[int, ...] = ()) -> list[int]:
        """The files that the Byzantine workers of `step` forge and of which, but for discarded workers, they hold most copies."""
        if not self.num_byzantine:
            return []
        workers_of = self.assignment.at(step).workers_of
        counted = ~np.isin(workers_of, discarded)
        byzantine = np.isin(workers_of, self.byzantine_at(step))
        if self.assignment.threshold > self.assignment.majority:
            won = (byzantine & counted).sum(axis=1) == np.maximum(counted.sum(axis=1), 1)
        else:
            won = 2 * (byzantine & counted).sum(axis=1) > counted.sum(axis=1)
        return [file for file in np.flatnonzero(won).tolist() if file in self.forged_at(step)]

    def _forged_at(self, step: int) -> frozenset[int]:
        """The files that the Byzantine workers of `step` forge; the others they send as they are."""
        members = self.byzantine_at(step)
        workers_of = self.assignment.at(step).workers_of
        byzantine = np.isin(workers_of, members)
        forged = byzantine.any(axis=1)
        if self.files == "majority":
            forged = byzantine.sum(axis=1) >= self.assignment.majority
        elif self.files == "disagreement":
            honest = [worker for worker in range(self.assignment.num_workers) if worker not in members]
            forged &= (byzantine | np.isin(workers_of, honest[: self.num_byzantine])).all(axis=1)
        return frozenset(np.flatnonzero(forged).tolist())

    @cached_property
    def _constant(self) -> tuple[int, ...]:
        if self._listed or self.num_byzantine == 0:
            return self._listed
        if self.rule == "worst":
            return worst_case(self.assignment, num_byzantine=self.num_byzantine).witness
        return tuple(sorted(self._in_order()[: self.num_byzantine]))

    def _in_order(self) -> list[int]:
        """All workers, in the order in which the rule makes them Byzantine."""
        majority = self.assignment.majority
        if self.rule == "detox_worst":
            parts = [group[:majority] for group in self._groups] + [group[majority:] for group in self._groups]
        elif self.rule == "detox_benign":
            parts = [list(turn) for turn in zip(*self._groups, strict=True)]
        else:
            parts = self._groups or [list(range(self.assignment.num_workers))]
        return [worker for part in parts for worker in part]


def _groups(assignment: Assignment) -> list[list[int]]:
    """The groups of r workers that hold the same files, by their first worker; none if the placement has no such groups."""
    groups: dict[tuple[int, ...], list[int]] = {}
    for worker, files in enumerate(assignment.files_of.tolist()):
        groups.setdefault(tuple(files), []).append(worker)
    return list(groups.values()) if len(groups) * assignment.replication == assignment.num_workers else []
