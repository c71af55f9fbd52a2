"""The contract of every robust rule: [n, d] in, [d] out."""

import copy
from abc import ABC, abstractmethod
from typing import Any, Self, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from byzshield.errors import ParameterError, TooFewRowsError
from byzshield.registry import Registry

__all__ = ["AGGREGATORS", "Aggregator"]

Matrix = NDArray[Any]
M = TypeVar("M")


class Aggregator(ABC):
    """Combines n vectors, of which up to `num_corrupted` are arbitrary, into one.

    A rule knows nothing of workers: after the vote, its rows are files. Subclasses implement `minimum_rows` and `_combine`.
    Rules are immutable, deterministic, and never write into their input.

    Args:
        num_corrupted: rows that may be arbitrary (f in the papers of the rules), >= 0.

    Raises:
        ParameterError: num_corrupted is negative.
    """

    def __init__(self, *, num_corrupted: int = 0) -> None:
        if num_corrupted < 0:
            raise ParameterError(f"num_corrupted must not be negative; got {num_corrupted}")
        self.num_corrupted = num_corrupted

    @property
    @abstractmethod
    def minimum_rows(self) -> int:
        """The fewest rows for which the rule's guarantee holds against `num_corrupted` of them."""

    @abstractmethod
    def _combine(self, rows: Matrix) -> Matrix:
        """Combines checked rows, a float array of shape [n, d] that must not be written to, into shape [d]."""

    def __call__(self, gradients: M) -> M:
        """Combines the rows of `gradients`.

        Args:
            gradients: [n, d], float32 or float64, a numpy array or a torch tensor.

        Returns:
            [d], of the same kind and dtype.

        Raises:
            ParameterError: not a floating-point matrix.
            TooFewRowsError: n is less than `minimum_rows`.
        """
        if not isinstance(gradients, np.ndarray):
            import torch

            if isinstance(gradients, torch.Tensor):
                result = torch.from_numpy(self(gradients.detach().cpu().numpy()))
                return cast(M, result.to(gradients.device))
            raise ParameterError(f"gradients must be a numpy array or a torch tensor; got {type(gradients).__name__}")
        if gradients.ndim != 2 or gradients.dtype not in (np.float32, np.float64):
            raise ParameterError(
                f"gradients must be a [n, d] matrix of float32 or float64; got shape {gradients.shape}, {gradients.dtype}"
            )
        self.check_rows(len(gradients))
        return cast(M, self._combine(gradients))

    def check_rows(self, num_rows: int) -> None:
        """Raises TooFewRowsError if `num_rows` is less than `minimum_rows`."""
        if num_rows < self.minimum_rows:
            raise TooFewRowsError(
                f"{type(self).__name__} against {self.num_corrupted} corrupted rows needs at least {self.minimum_rows} "
                f"rows; got {num_rows}"
            )

    def against(self, num_corrupted: int) -> Self:
        """The same rule with another `num_corrupted`."""
        other = copy.copy(self)
        other.num_corrupted = num_corrupted
        return other


AGGREGATORS: Registry[type[Aggregator]] = Registry("aggregation rule", "byzshield.aggregation", base=Aggregator)
