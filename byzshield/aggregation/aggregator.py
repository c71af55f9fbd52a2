"""The contract of every robust rule: [n, d] in, [d] out."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, TypeVar, cast

from byzshield.aggregation.primitives import Floats, squared_distances
from byzshield.aggregation.row_operation import RowOperation
from byzshield.aggregation.rows import Matrix
from byzshield.errors import CheckpointError
from byzshield.registry import Registry

__all__ = ["AGGREGATORS", "Aggregator", "DistanceAggregator", "Matrix"]

M = TypeVar("M")


class Aggregator(RowOperation):
    """Combines n vectors, of which up to `num_corrupted` are arbitrary, into one.

    A rule knows nothing of workers: after the vote, its rows are files. Subclasses implement `minimum_rows` and `_combine`.
    Rules are immutable unless they declare a state, deterministic, and never write into their input.
    """

    coordinate_wise: bool = False
    """Whether each coordinate of the result depends on that coordinate of the rows alone, so that blocks of columns may be
    combined one by one."""
    needs_row_identity: ClassVar[bool] = False
    """Whether a position among the rows means something to the rule, so that they must not be shuffled or merged before it."""

    @abstractmethod
    def _combine(self, rows: Matrix) -> Matrix:
        """Combines checked, finite rows of shape [n, d] that must not be written to, into shape [d]."""

    def __call__(self, gradients: M, *, step: int = 0) -> M:
        """Combines the rows of `gradients`.

        Rows with a NaN or an infinity are left out and count as corrupted ones, as in `Pipeline`, which also reports them.

        Args:
            gradients: [n, d], float32 or float64, a numpy array or a torch tensor on any device.
            step: which step of the training this is; seeded rules draw anew at each.

        Returns:
            [d], of the same kind, dtype and device.

        Raises:
            ParameterError: not a floating-point matrix.
            TooFewRowsError: n is less than `minimum_rows`, or too few finite rows are left.
        """
        return cast(M, self._applied(gradients, step, lambda rule, rows: rule._combine(rows)))

    def state_dict(self) -> dict[str, Any]:
        """What the rule remembers between calls, for a checkpoint; empty for most rules."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes up what `state_dict` gave.

        Raises:
            CheckpointError: the state is not this rule's.
        """
        if state:
            raise CheckpointError(f"{type(self).__name__} remembers nothing, but the checkpoint holds {', '.join(sorted(state))}")


class DistanceAggregator(Aggregator):
    """A rule that looks at its rows through their pairwise distances, which can be summed while blocks of columns arrive."""

    finds_non_finite = True

    @abstractmethod
    def combine_given(self, rows: Matrix, distances: Floats) -> Matrix:
        """As `_combine`, given the squared distances [n, n] of the rows in an arbitrary unit."""

    def _combine(self, rows: Matrix) -> Matrix:
        return self.combine_given(rows, squared_distances(rows))


AGGREGATORS: Registry[type[Aggregator]] = Registry("aggregation rule", "byzshield.aggregation", base=Aggregator)
