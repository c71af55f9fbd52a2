"""The contract of every pre-aggregator: [n, d] in, [m, d] out."""

from abc import abstractmethod
from typing import ClassVar, TypeVar, cast

from byzshield.aggregation.row_operation import RowOperation
from byzshield.aggregation.rows import Matrix
from byzshield.registry import Registry

__all__ = ["PRE_AGGREGATORS", "PreAggregator"]

M = TypeVar("M")


class PreAggregator(RowOperation):
    """Turns n rows, of which up to `num_corrupted` are arbitrary, into m rows for a rule. Never writes into its input.

    In a `Pipeline`, `num_corrupted` is that of the rule at its end. Subclasses implement `minimum_rows` and `_transform`, and the
    two counts if they merge rows.
    """

    keeps_rows: ClassVar[bool] = True
    """Whether row i of the result stands for row i of the input."""

    @abstractmethod
    def _transform(self, rows: Matrix) -> Matrix:
        """Turns checked, finite rows [n, d] that must not be written to into new rows [m, d]."""

    def rows_after(self, num_rows: int) -> int:
        """How many rows come out (m) when `num_rows` go in."""
        return num_rows

    def corrupted_after(self, num_rows: int) -> int:
        """How many of the rows that come out may be corrupted when `num_rows` go in."""
        return min(self.num_corrupted, self.rows_after(num_rows))

    def __call__(self, gradients: M, *, step: int = 0) -> M:
        """Transforms the rows of `gradients`; rows with a NaN or an infinity are left out and count as corrupted ones.

        Args:
            gradients: [n, d], float32 or float64, a numpy array or a torch tensor on any device.
            step: which step of the training this is; seeded ones draw anew at each.

        Returns:
            [m, d], of the same kind, dtype and device.

        Raises:
            ParameterError: not a floating-point matrix.
            TooFewRowsError: n is less than `minimum_rows`, or too few finite rows are left.
        """
        return cast(M, self._applied(gradients, step, lambda operation, rows: operation._transform(rows)))


PRE_AGGREGATORS: Registry[type[PreAggregator]] = Registry("pre-aggregator", "byzshield.aggregation.pre", base=PreAggregator)
