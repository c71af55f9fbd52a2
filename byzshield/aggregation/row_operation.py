"""What rules and pre-aggregators have in common: how many rows they need, and against how many corrupted ones."""

import contextlib
import copy
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, Self

from byzshield.aggregation.rows import FLOATS, Matrix, NonFiniteFound, keep_rows, non_finite_rows, open_matrix
from byzshield.errors import ParameterError, TooFewRowsError

__all__ = ["RowOperation"]


class RowOperation(ABC):
    """Works on n rows, of which up to `num_corrupted` are arbitrary.

    Args:
        num_corrupted: rows that may be arbitrary (f in the papers of the rules), >= 0.

    Raises:
        ParameterError: num_corrupted is negative.
    """

    minimum: ClassVar[str] = ""
    """The fewest rows, as a formula in n and f."""
    breakdown: ClassVar[str] = ""
    """The largest number of corrupted rows that it withstands, as a fraction of n."""
    cost: ClassVar[str] = ""
    """Operations, in n, f and d."""
    paper: ClassVar[str] = ""
    """Where it was published."""
    dtypes: ClassVar[tuple[str, ...]] = FLOATS
    """Element types that it accepts."""
    on_device: ClassVar[bool] = False
    """Whether it also takes a torch tensor on another device than the CPU; otherwise such rows are copied to the CPU."""
    finds_non_finite: ClassVar[bool] = False
    """Whether the first thing that it does with its rows is a primitive that raises `NonFiniteFound`; otherwise a pass over the
    rows looks for such values beforehand."""

    def __init__(self, *, num_corrupted: int = 0) -> None:
        if num_corrupted < 0:
            raise ParameterError(f"num_corrupted must not be negative; got {num_corrupted}")
        self.num_corrupted = num_corrupted

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

    def against(self, num_corrupted: int) -> Self:
        """The same with another `num_corrupted`; a state is shared with the original."""
        other = copy.copy(self)
        other.num_corrupted = num_corrupted
        return other

    def without(self, dropped: tuple[int, ...], num_rows: int) -> Self:
        """The same for what is left of `num_rows` rows after those at the positions `dropped`, all corrupted, are gone.

        Raises:
            TooFewRowsError: it cannot do without one of them.
        """
        return self.against(max(0, self.num_corrupted - len(dropped)))

    def for_step(self, step: int) -> Self:
        """The same as it is at `step` of the training; only seeded ones differ from step to step."""
        return self

    def _applied(self, gradients: Any, step: int, work: Callable[[Self, Matrix], Matrix]) -> Any:
        """What a direct call does: checks, leaves out non-finite rows as corrupted ones, works, and gives back the same kind."""
        rows, back = open_matrix(gradients, dtypes=self.dtypes, on_device=self.on_device)
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
