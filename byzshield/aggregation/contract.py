"""The contract of every rule ([n, d] in, [d] out) and of every pre-aggregator ([n, d] in, [m, d] out)."""

import contextlib
import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Self

from byzshield.aggregation.matrix import FLOATS, M, Matrix, NonFiniteFound, keep_rows, non_finite_rows, open_matrix
from byzshield.aggregation.primitives import squared_distances
from byzshield.arguments import checked
from byzshield.arrays import Float64
from byzshield.errors import CheckpointError, ParameterError, TooFewRowsError
from byzshield.registry import Registry
from byzshield.representation import constructor_call

__all__ = [
    "AGGREGATORS",
    "PRE_AGGREGATORS",
    "Aggregator",
    "DistanceAggregator",
    "Matrix",
    "PreAggregator",
    "RowOperation",
    "SeededOperation",
]


class RowOperation(ABC):
    """Works on n rows, of which up to `num_corrupted` are arbitrary.

    A subclass sees its rows in `_combine` or `_transform` as a numpy array, or as a torch tensor if they are on another device
    than the CPU, where they stay. `byzshield.aggregation.primitives` takes both.

    Args:
        num_corrupted: rows that may be arbitrary (f in the papers of the rules), >= 0. Without it, `against` sets it later,
            as a run does; a call before that is refused, unless the number changes nothing.

    Raises:
        ParameterError: num_corrupted is negative, or no whole number.
    """

    uses_num_corrupted: bool = True
    """Whether what is done with the rows depends on `num_corrupted`, and not only how many of them there must be."""
    minimum: ClassVar[str] = ""
    """The fewest rows, as a formula in n and f."""
    breakdown: ClassVar[str] = ""
    """The largest number of corrupted rows that it withstands, as a fraction of n."""
    cost: ClassVar[str] = ""
    """Operations, in n, f and d."""
    paper: ClassVar[str] = ""
    """Where it was published."""
    dtypes: tuple[str, ...] = FLOATS
    """Element types that it accepts."""
    finds_non_finite: ClassVar[bool] = False
    """Whether the first thing that it does with its rows is a primitive that raises `NonFiniteFound`; otherwise a pass over the
    rows looks for such values beforehand."""

    @checked
    def __init__(self, num_corrupted: int | None = None) -> None:
        if num_corrupted is not None and num_corrupted < 0:
            raise ParameterError(f"num_corrupted must not be negative; got {num_corrupted}")
        self.num_corrupted = num_corrupted or 0
        self.was_told = num_corrupted is not None

    def __repr__(self) -> str:
        return constructor_call(self, num_corrupted=self.num_corrupted if self.was_told else None)

    @property
    @abstractmethod
    def minimum_rows(self) -> int:
        """The fewest rows for which the guarantee holds against `num_corrupted` of them."""

    def check_rows(self, num_rows: int) -> None:
        """Raises TooFewRowsError if `num_rows` is less than `minimum_rows`."""
        needed = max(1, self.minimum_rows)
        if num_rows < needed:
            raise TooFewRowsError(
                f"{type(self).__name__} against {self.num_corrupted} corrupted rows needs at least {needed} rows; got {num_rows}"
            )

    def require_num_corrupted(self, *others: "RowOperation") -> None:
        """Raises ParameterError if `num_corrupted` was never said, and matters here or to others that take it from here."""
        needy = [type(operation).__name__ for operation in (self, *others) if operation.uses_num_corrupted]
        if needy and not self.was_told:
            call = f"{type(self).__name__}(2)"
            raise ParameterError(f"{needy[0]} needs num_corrupted, the number of rows that may be arbitrary, as in {call}")

    def against(self, num_corrupted: int) -> Self:
        """The same with another `num_corrupted`; a state is shared with the original."""
        return self._replaced(num_corrupted=num_corrupted, was_told=True)

    def without(self, dropped: tuple[int, ...], num_rows: int) -> Self:
        """The same for what is left of `num_rows` rows after those at the positions `dropped`, all corrupted, are gone.

        Raises:
            TooFewRowsError: it cannot do without one of them.
        """
        return self.against(max(0, self.num_corrupted - len(dropped)))

    def for_step(self, step: int) -> Self:
        """The same as it is at `step` of the training; only a `SeededOperation` differs from step to step."""
        return self

    def _replaced(self, **attributes: Any) -> Self:
        """A copy that has other values of some attributes."""
        other = copy.copy(self)
        vars(other).update(attributes)
        return other

    def _applied(self, gradients: M | Sequence[M], step: int, work: Callable[[Self, Matrix], Matrix]) -> M:
        """What a direct call does: checks, leaves out non-finite rows as corrupted ones, works, and gives back the same kind."""
        self.require_num_corrupted()
        rows, back = open_matrix(gradients, dtypes=self.dtypes)
        operation = self.for_step(step)
        operation.check_rows(len(rows))
        if operation.finds_non_finite:
            with contextlib.suppress(NonFiniteFound):
                return back(work(operation, rows))
        dropped = non_finite_rows(rows)
        if dropped:
            operation = operation.without(dropped, len(rows))
            rows = keep_rows(rows, dropped)
            operation.check_rows(len(rows))
        return back(work(operation, rows))


class SeededOperation(RowOperation):
    """Draws at random, anew at each step of the training; stands before `Aggregator` or `PreAggregator` among the bases.

    Args:
        num_corrupted: f.
        seed: of the draws, >= 0.

    Raises:
        ParameterError: seed is negative.
    """

    def __init__(self, num_corrupted: int | None = None, *, seed: int = 0) -> None:
        super().__init__(num_corrupted)
        if seed < 0:
            raise ParameterError(f"seed must not be negative; got {seed}")
        self.seed = seed
        self.step = 0

    def for_step(self, step: int) -> Self:
        return self._replaced(step=step)


class Aggregator(RowOperation):
    """Combines n vectors, of which up to `num_corrupted` are arbitrary, into one.

    A rule knows nothing of workers: after the vote, its rows are files. Subclasses implement `minimum_rows` and `_combine`.
    Rules are immutable unless they declare a state, deterministic, and never write into their input.
    """

    coordinate_wise: bool = False
    """Whether each coordinate of the result depends on that coordinate of the rows alone."""
    robust: bool = True
    """Whether it withstands corrupted rows at all."""
    needs_row_identity: ClassVar[bool] = False
    """Whether it must know which row is which, so that they must not be shuffled or merged before it; it has `for_rows`."""

    def for_rows(self, numbers: Sequence[int]) -> Self:
        """The same for rows that have these numbers, of which some may be missing; only a rule that names rows differs.

        Raises:
            TooFewRowsError: it cannot do without a row that is missing.
        """
        return self

    @abstractmethod
    def _combine(self, rows: Matrix) -> Matrix:
        """Combines checked, finite rows of shape [n, d] that must not be written to, into shape [d]."""

    def __call__(self, gradients: M | Sequence[M], *, step: int = 0) -> M:
        """Combines the rows of `gradients`.

        Rows with a NaN or an infinity are left out and count as corrupted ones, as in `Pipeline`, which also reports them.

        Args:
            gradients: [n, d], a numpy array or a torch tensor on any device, or a list of n vectors [d]; float32, float64, or a
                half-precision type, which is worked on as float32.
            step: which step of the training this is; seeded rules draw anew at each.

        Returns:
            [d], of the same kind, dtype and device.

        Raises:
            ParameterError: not a floating-point matrix.
            TooFewRowsError: n is less than `minimum_rows`, or too few finite rows are left.
        """
        return self._applied(gradients, step, lambda rule, rows: rule._combine(rows))

    @property
    def remembers(self) -> bool:
        """Whether what it does depends on earlier calls."""
        return type(self).state_dict is not Aggregator.state_dict

    def state_dict(self) -> dict[str, Any]:
        """What the rule remembers between calls, for a checkpoint: tensors and plain containers; empty for most rules.

        It is taken before each call, of which the result may never be applied, so no later call may change it.
        """
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes up what `state_dict` gave.

        Raises:
            CheckpointError: the state is not this rule's.
        """
        if state:
            raise CheckpointError(f"{type(self).__name__} remembers nothing, but the checkpoint holds {', '.join(sorted(state))}")


class DistanceAggregator(Aggregator):
    """A rule that chooses or weights its rows by their pairwise distances."""

    finds_non_finite = True

    @abstractmethod
    def combine_given(self, rows: Matrix, distances: Float64) -> Matrix:
        """As `_combine`, given the squared distances [n, n] of the rows in an arbitrary unit."""

    def _combine(self, rows: Matrix) -> Matrix:
        return self.combine_given(rows, squared_distances(rows))


class PreAggregator(RowOperation):
    """Turns n rows, of which up to `num_corrupted` are arbitrary, into m rows for a rule. Never writes into its input.

    In a `Pipeline`, `num_corrupted` is that of the rule at its end. Subclasses implement `minimum_rows` and `_transform`, and the
    two counts if they merge rows.
    """

    keeps_rows: ClassVar[bool] = True
    """Whether row i of the result stands for row i of the input."""
    works_in_place: ClassVar[bool] = False
    """Whether it makes its rows over those that it is given where it `may_overwrite` them (float32, on a CPU)."""
    may_overwrite: bool = False
    """Whether it may do so: only in a `Pipeline` whose caller needs the rows no more."""

    @abstractmethod
    def _transform(self, rows: Matrix) -> Matrix:
        """Turns checked, finite rows [n, d], not to be written to unless it `may_overwrite` them, into new rows [m, d]."""

    def rows_after(self, num_rows: int) -> int:
        """How many rows come out (m) when `num_rows` go in."""
        return num_rows

    def corrupted_after(self, num_rows: int) -> int:
        """How many of the rows that come out may be corrupted when `num_rows` go in."""
        return min(self.num_corrupted, self.rows_after(num_rows))

    def __call__(self, gradients: M | Sequence[M], *, step: int = 0) -> M:
        """Transforms the rows of `gradients`; rows with a NaN or an infinity are left out and count as corrupted ones.

        Args:
            gradients: [n, d], a numpy array or a torch tensor on any device, or a list of n vectors [d]; float32, float64, or a
                half-precision type, which is worked on as float32.
            step: which step of the training this is; seeded ones draw anew at each.

        Returns:
            [m, d], of the same kind, dtype and device.

        Raises:
            ParameterError: not a floating-point matrix.
            TooFewRowsError: n is less than `minimum_rows`, or too few finite rows are left.
        """
        return self._applied(gradients, step, lambda operation, rows: operation._transform(rows))


AGGREGATORS: Registry[type[Aggregator]] = Registry(
    "aggregation rule", "byzshield.aggregation.rules", base=Aggregator, given=["num_corrupted"], checks_arguments=True
)
PRE_AGGREGATORS: Registry[type[PreAggregator]] = Registry(
    "pre-aggregator", "byzshield.aggregation.pre", base=PreAggregator, given=["num_corrupted"], checks_arguments=True
)
