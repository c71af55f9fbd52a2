"""Centered clipping: the previous result moves to each row by at most a radius."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from byzshield.aggregation import primitives
from byzshield.aggregation.contract import AGGREGATORS, Aggregator, Matrix
from byzshield.errors import CheckpointError, ParameterError

__all__ = ["CenteredClipping"]


@AGGREGATORS.register("centered_clipping")
class CenteredClipping(Aggregator):
    """From the previous result v: v += mean of min(1, tau / |x_i - v|) (x_i - v), `iterations` times. It remembers v.

    The first v is 0. Meant for momentum, whose honest rows stay near each other from step to step.

    Reference: Karimireddy, He, Jaggi, "Learning from History for Byzantine Robust Optimization", ICML 2021, equation 6 and
    algorithm 2.

    Args:
        num_corrupted: f.
        radius: tau, in the unit of the rows.
        iterations: L.

    Raises:
        ParameterError: radius or iterations is not positive.
    """

    uses_num_corrupted = False
    minimum = "n >= 2f + 1"
    breakdown = "0.1 proved; in practice below 1/2"
    cost = "O(L n d)"
    paper = "Karimireddy, He, Jaggi, ICML 2021, algorithm 2"
    finds_non_finite = True

    def __init__(self, num_corrupted: int | None = None, *, radius: float = 10.0, iterations: int = 1) -> None:
        super().__init__(num_corrupted)
        if not 0 < radius < np.inf or iterations < 1:
            raise ParameterError(f"radius and iterations must be positive; got {radius} and {iterations}")
        self.radius = radius
        self.iterations = iterations
        self._memory: dict[str, Matrix] = {}  # shared with the copies that `against` makes

    @property
    def minimum_rows(self) -> int:
        return 2 * self.num_corrupted + 1

    def _combine(self, rows: Matrix) -> Matrix:
        center = self._center(rows)
        n = len(rows)
        for _ in range(self.iterations):
            distances = primitives.distances_to(rows, center)
            shares = np.where(distances > self.radius, self.radius / np.maximum(distances, self.radius), 1.0)
            clipped = primitives.weighted_sum(rows, shares, n)
            kept = float((1.0 - shares).sum() / n)
            center = clipped + center * kept if kept else clipped
        self._memory["center"] = center
        return primitives.copy(center)

    def _center(self, rows: Matrix) -> Matrix:
        if "center" not in self._memory:
            return primitives.zeros_like_row(rows)
        center = self._memory["center"]
        if center.shape != rows.shape[1:]:
            raise ParameterError(f"rows must be as long as in the step before; got {rows.shape[1]} after {len(center)}")
        return primitives.as_row(center, rows)

    def state_dict(self) -> dict[str, Any]:
        """The previous result, `center` [d], as a torch tensor on the CPU; empty before the first call."""
        import torch

        return {name: torch.as_tensor(value).to("cpu", copy=True) for name, value in self._memory.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        if set(state) - {"center"}:
            raise CheckpointError(f"CenteredClipping remembers a center, but the checkpoint holds {', '.join(sorted(state))}")
        self._memory.clear()
        self._memory.update({name: primitives.copy(value) for name, value in state.items()})
