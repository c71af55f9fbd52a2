"""Which workers are Byzantine: by a list, by number, at random in each step, or the worst case for the placement."""

from collections.abc import Sequence
from functools import cached_property, lru_cache

from byzshield.choices import SelectionRule, require_choice
from byzshield.distortion import corrupted_files, worst_case
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
            "random" draws q workers anew in each step.
        workers: the q workers of rule "fixed", from 0; for "worst" a set that was computed before, or nothing.
        seed: the run's seed, for rule "random".

    Raises:
        ParameterError: q or the list does not fit the placement, or the rule is unknown.
    """

    def __init__(
        self,
        assignment: Assignment,
        *,
        num_byzantine: int,
        rule: SelectionRule,
        workers: Sequence[int] = (),
        seed: int = 0,
    ) -> None:
        num_workers = assignment.num_workers
        require_choice("selection", rule, SelectionRule)
        assignment.require_workers(num_byzantine)
        if rule == "fixed" or (rule == "worst" and workers):
            if len(set(workers)) != num_byzantine or any(not 0 <= worker < num_workers for worker in workers):
                raise ParameterError(
                    f"a {rule} selection needs workers = {num_byzantine} different numbers from 0 to {num_workers - 1}; "
                    f"got {list(workers)}"
                )
        elif workers:
            raise ParameterError(f"workers belong to selection 'fixed'; the selection is {rule!r}")
        self.assignment = assignment
        self.num_byzantine = num_byzantine
        self.rule = rule
        self._listed = tuple(sorted(workers))
        self._seed = seed
        self.corrupted_at = lru_cache(maxsize=8)(self._corrupted_at)

    def byzantine_at(self, step: int) -> tuple[int, ...]:
        """The Byzantine workers of `step`, ascending."""
        if self.rule == "random":
            rng = generator(self._seed, "selection", step)
            drawn = rng.choice(self.assignment.num_workers, size=self.num_byzantine, replace=False)
            return tuple(sorted(int(worker) for worker in drawn))
        return self._constant

    def _corrupted_at(self, step: int) -> list[int]:
        """The files of which the Byzantine workers of `step` hold a majority, ascending."""
        return corrupted_files(self.assignment, self.byzantine_at(step)) if self.num_byzantine else []

    @cached_property
    def _constant(self) -> tuple[int, ...]:
        if self._listed or self.num_byzantine == 0:
            return self._listed
        if self.rule == "first":
            return tuple(range(self.num_byzantine))
        return worst_case(self.assignment, num_byzantine=self.num_byzantine).witness
