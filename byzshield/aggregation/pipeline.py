"""From the rows that won their vote to one update: the non-finite policy, the pre-aggregators, then the rule."""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from byzshield.aggregation.contract import Aggregator, Matrix, PreAggregator
from byzshield.aggregation.matrix import NonFiniteFound, bring, keep_rows, non_finite_rows, open_matrix
from byzshield.arguments import checked
from byzshield.arrays import Float32
from byzshield.errors import ParameterError, TooFewRowsError

__all__ = ["Aggregate", "Pipeline"]


@dataclass(frozen=True, kw_only=True)
class Aggregate:
    """What came out of one step.

    Args:
        vector: [d], or None if too few rows were left and the step is skipped.
        statistics: [s], the combined statistics of the pass; None if there were none, or the step is skipped.
        non_finite: the rows (positions in the input) that were dropped for a NaN or an infinity.
        reason: why the step is skipped; empty otherwise.
        rejected: the rows that were found wrong, where that can be told.
    """

    vector: Matrix | None
    statistics: Float32 | None = None
    non_finite: tuple[int, ...]
    reason: str = ""
    rejected: tuple[int, ...] = ()


class Pipeline:
    """Applies the non-finite policy, then pre-aggregators, then a rule.

    A row with a non-finite value never reaches the rule: it is dropped, reported, and `num_corrupted` is lowered by as many.
    A row that is missing (no majority) may have been a corrupted one or an honest one, so it does not lower `num_corrupted`.
    With fewer rows left than the chain needs, the step is skipped, not guessed.

    The statistics of the pass that gave a gradient (those of BatchNorm, the loss) are no gradient: neither pre-aggregators nor
    the rule see them. They are combined by the coordinate-wise trimmed mean, which drops `num_corrupted` values at either end, or
    as many as leave one or two.

    Args:
        rule: the aggregator; its `num_corrupted` is also that of the pre-aggregators.
        pre: pre-aggregators, the first to be applied first.
        device: to which numpy arrays are brought to be combined, as torch names it; "cpu" leaves them where they are.

    Raises:
        ParameterError: a pre-aggregator merges rows, but the rule must know which is which; or `num_corrupted` is missing where
            the rule or a pre-aggregator needs it.
    """

    @checked
    def __init__(self, rule: Aggregator, pre: Sequence[PreAggregator] = (), *, device: str = "cpu") -> None:
        rule.require_num_corrupted(*pre)
        self.rule = rule
        self.pre = tuple(pre)
        self._device = device
        for operation in self.pre:
            if rule.needs_row_identity and not operation.keeps_rows:
                raise ParameterError(
                    f"{type(rule).__name__} must know which row is which, and {type(operation).__name__} merges rows; "
                    "leave it out or use another rule"
                )

    @property
    def num_corrupted(self) -> int:
        """How many rows may be wrong."""
        return self.rule.num_corrupted

    def check_rows(self, num_rows: int, *, numbers: Sequence[int] | None = None, dropped: tuple[int, ...] = ()) -> None:
        """Raises TooFewRowsError if `num_rows` rows, with these numbers and finite but for those at the positions `dropped`,
        would not suffice for the whole chain."""
        self._chain(num_rows, dropped, numbers, step=0)

    def __call__(
        self,
        gradients: Matrix,
        *,
        statistics: Float32 | None = None,
        numbers: Sequence[int] | None = None,
        step: int = 0,
        in_place: bool = False,
    ) -> Aggregate:
        """Combines `gradients` [n, d], a numpy array or a torch tensor; returns the vector [d] and what was dropped.

        Args:
            gradients: [n, d], not written to unless `in_place`.
            statistics: [n, s], those of the same files; a row that is not finite here is dropped there, too.
            numbers: [n], which row is which, for a rule that names one; by default none is missing: 0 to n - 1.
            step: which step of the training this is; seeded operations draw anew at each.
            in_place: whether `gradients` may hold anything afterwards, which saves a copy where rows are dropped and rows of
                pre-aggregators that `works_in_place`.

        Raises:
            ParameterError: not a matrix of floats, or there are more or fewer numbers than rows.
        """
        rows, back = open_matrix(gradients, dtypes=self.rule.dtypes)
        if self._device != "cpu" and isinstance(rows, np.ndarray):
            rows, back = bring(rows, self._device)
        if numbers is not None and len(numbers) != len(rows):
            raise ParameterError(f"numbers must tell of each row which it is; got {len(numbers)} of {len(rows)} rows")
        dropped = () if statistics is None else non_finite_rows(statistics)
        if not dropped and (self.pre[0] if self.pre else self.rule).finds_non_finite:
            with contextlib.suppress(NonFiniteFound, TooFewRowsError):
                vector = back(self._run(rows, (), numbers, step=step, in_place=in_place))
                return Aggregate(vector=vector, statistics=self._combined(statistics, ()), non_finite=())
        dropped = tuple(sorted({*dropped, *non_finite_rows(rows)}))
        try:
            vector = back(self._run(rows, dropped, numbers, step=step, in_place=in_place))
        except TooFewRowsError as error:
            return Aggregate(vector=None, non_finite=dropped, reason=str(error))
        return Aggregate(vector=vector, statistics=self._combined(statistics, dropped), non_finite=dropped)

    @property
    def works_by_columns(self) -> bool:
        """Whether what becomes of a column depends on it alone, once it is known which rows are finite in all columns."""
        return self.rule.coordinate_wise and not self.rule.remembers and not self.pre and self._device == "cpu"

    def combine_columns(
        self, rows: Matrix, dropped: tuple[int, ...], *, numbers: Sequence[int] | None = None, step: int = 0
    ) -> Matrix:
        """Combines some columns, [n, w], of a chain that `works_by_columns`, as a call would with all of them; [w].

        Args:
            rows: [n, w], never written to.
            dropped: the rows that are left out since they are not finite, in these columns or in others; ascending.
            numbers: [n], as of a call.
            step: as of a call.

        Raises:
            NonFiniteFound: another row is not finite in these columns.
            TooFewRowsError: too few rows are left.
        """
        if not self.rule.finds_non_finite and set(non_finite_rows(rows)).difference(dropped):
            raise NonFiniteFound
        return self._run(rows, dropped, numbers, step=step)

    def combine_statistics(self, statistics: Float32, dropped: tuple[int, ...]) -> Float32:
        """Combines statistics [n, s] without the rows `dropped`, of which one is left at least, as a call would; [s]."""
        rows = keep_rows(statistics, dropped) if dropped else statistics
        trim = min(max(0, self.rule.num_corrupted - len(dropped)), (len(rows) - 1) // 2)
        kept = np.sort(rows, axis=0)[trim : len(rows) - trim]
        combined: Float32 = kept.mean(axis=0, dtype=np.float64).astype(np.float32)
        return combined

    def state_dict(self) -> dict[str, Any]:
        """What the rule remembers between steps, for a checkpoint."""
        return self.rule.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes up what `state_dict` gave."""
        self.rule.load_state_dict(state)

    def _run(
        self, rows: Matrix, dropped: tuple[int, ...], numbers: Sequence[int] | None, *, step: int, in_place: bool = False
    ) -> Matrix:
        pre, rule = self._chain(len(rows), dropped, numbers, step=step)
        if dropped:
            rows = keep_rows(rows, dropped, in_place=in_place)
        for operation in pre:
            # The first operation looks for what is not finite before it writes, so that the rows can still be dropped.
            rows = operation._replaced(may_overwrite=in_place)._transform(rows)
        return rule._combine(rows)

    def _combined(self, statistics: Float32 | None, dropped: tuple[int, ...]) -> Float32 | None:
        return None if statistics is None else self.combine_statistics(statistics, dropped)

    def _chain(
        self, num_rows: int, dropped: tuple[int, ...], numbers: Sequence[int] | None, *, step: int
    ) -> tuple[list[PreAggregator], Aggregator]:
        """The operations as they are for `num_rows` rows with these numbers, of which those at `dropped` are gone."""
        rule = self.rule.for_step(step)
        if numbers is not None:
            rule = rule.for_rows(numbers)
        if dropped:
            rule = rule.without(dropped, num_rows)
        rows, corrupted = num_rows - len(dropped), rule.num_corrupted
        pre = []
        for operation in self.pre:
            operation = operation.for_step(step).against(corrupted)
            operation.check_rows(rows)
            rows, corrupted = operation.rows_after(rows), operation.corrupted_after(rows)
            pre.append(operation)
        rule = rule.against(corrupted)
        rule.check_rows(rows)
        return pre, rule
