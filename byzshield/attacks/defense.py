"""What the adversary knows of the defense: what the server's rule makes of a step's rows if it sends this or that."""

import copy
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from byzshield.aggregation import Aggregator, Pipeline
from byzshield.aggregation.kernels.columns import blocks
from byzshield.arrays import Float64

__all__ = ["Defense", "Rule"]

BLOCK: Final = 1 << 16  # columns at a time

Rows = NDArray[Any]
Rule = Aggregator | Pipeline | Callable[[Rows], Rows]
"""An aggregation rule, a chain, or any function of a numpy array [n, d] that returns [d] and does not write into its input."""


class Defense:
    """The server's rule, on which an adversary tries out what to send.

    A rule that remembers earlier steps is tried as it is before the first one, and on gradients where the server has momenta:
    what it remembers is its own. Draws of seeded rules are those of the step.

    Args:
        rule: the server's; one that was never told how many rows are corrupted is told the number of `corrupted`.
        rows: what the server gets, [n, p]. Those at `corrupted` hold what is tried during a call, and their own values after it,
            so that no other copy of the rows is needed.
        corrupted: the positions of the rows that the adversary sends.
        step: the training step.
    """

    def __init__(self, rule: Rule, rows: Rows, *, corrupted: Sequence[int], step: int) -> None:
        if isinstance(rule, Aggregator):
            rule = Pipeline(rule if rule.was_told else rule.against(len(corrupted)))
        self.rule = rule
        self._rows = rows
        self._corrupted = list(corrupted)
        self._step = step

    def __call__(self, forged: Rows) -> Rows | None:
        """What the rule makes of the rows, [p], if the adversary sends `forged`; None if too few finite rows are left for it.

        Args:
            forged: [d], of which the server's rule sees the first p values.
        """
        rows, kept = self._rows, self._rows[self._corrupted]
        rows[self._corrupted] = forged[: rows.shape[1]]
        try:
            if not isinstance(self.rule, Pipeline):
                return np.asarray(self.rule(rows))
            rule = copy.deepcopy(self.rule) if self.rule.rule.remembers else self.rule
            return rule(rows, step=self._step).vector
        finally:
            rows[self._corrupted] = kept

    def damage(self, forged: Rows, mean: Float64) -> float:
        """The squared distance between what the rule makes of `forged` and the mean that it should make; 0 if it makes nothing.

        Args:
            forged: [d].
            mean: [d], float64.
        """
        aggregate = self(forged)
        if aggregate is None:
            return 0.0
        total = 0.0
        with np.errstate(over="ignore"):  # of float64 values, which leaves infinities
            for block in blocks(0, len(aggregate), BLOCK):
                difference = aggregate[block] - mean[block]
                total += float(np.einsum("d,d->", difference, difference))  # not by BLAS, which adds in an order of its own
        return total
