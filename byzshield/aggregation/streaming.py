"""Aggregation that starts while columns are still arriving."""

import numpy as np

from byzshield.aggregation.contract import DistanceAggregator, Matrix
from byzshield.aggregation.matrix import non_finite_rows
from byzshield.aggregation.pipeline import Aggregate, Pipeline
from byzshield.errors import ParameterError, TooFewRowsError

__all__ = ["ColumnStream"]


class ColumnStream:
    """Runs a pipeline over a matrix that is filled block by block; the result equals that of the whole matrix bit for bit.

    Coordinate-wise rules combine each block when it is there. Distance rules sum the squared distances of each panel of columns
    when it is complete, and choose at the end. Other rules, and chains with a pre-aggregator, do their work in `finish`. If a
    value turns out not to be finite, its row leaves all blocks: then `finish` starts over without it.

    Args:
        pipeline: the chain.
        matrix: [n, d], numpy; the caller fills it, and must not change columns after `ready` has named them.
        step: which step of the training this is.
    """

    def __init__(self, pipeline: Pipeline, matrix: Matrix, *, step: int = 0) -> None:
        self._pipeline = pipeline
        self._matrix = matrix
        self._step = step
        self._arrived = np.zeros(matrix.shape[1], bool)
        self._spoiled = False
        self._out = np.empty(matrix.shape[1], matrix.dtype)
        self._panels: dict[int, Matrix] = {}
        rule = pipeline.rule.for_step(step)
        try:
            pipeline.check_rows(len(matrix))
            self._early = not pipeline.pre
        except TooFewRowsError:
            self._early = False  # finish() will say so
        self._by_column = rule if self._early and rule.coordinate_wise else None
        self._by_distance = rule if self._early and isinstance(rule, DistanceAggregator) else None

    def ready(self, start: int, stop: int) -> None:
        """Says that the columns from `start` to before `stop` are filled; in any order, each once.

        Raises:
            ParameterError: outside the matrix, or named before.
        """
        if not 0 <= start < stop <= len(self._arrived) or self._arrived[start:stop].any():
            raise ParameterError(f"columns {start} to {stop} are outside the {len(self._arrived)} columns or were ready before")
        self._arrived[start:stop] = True
        block = self._matrix[:, start:stop]
        self._spoiled = self._spoiled or bool(non_finite_rows(block))
        if self._spoiled:
            return
        if self._by_column is not None:
            self._out[start:stop] = self._by_column._combine(block)
        elif self._by_distance is not None:
            self._sum_panels(start, stop)

    def finish(self) -> Aggregate:
        """The result, once every column is there.

        Raises:
            ParameterError: columns are missing.
        """
        if not self._arrived.all():
            raise ParameterError(f"{int((~self._arrived).sum())} of {len(self._arrived)} columns are missing")
        if self._spoiled or not len(self._arrived):
            return self._pipeline(self._matrix, step=self._step)
        if self._by_column is not None:
            return Aggregate(vector=self._out, non_finite=())
        if self._by_distance is not None:
            from byzshield.aggregation.kernels import cpu

            if cpu.scale_of(self._matrix) == 1.0:
                distances = cpu.symmetric(np.stack([self._panels[panel] for panel in sorted(self._panels)]))
                return Aggregate(vector=self._by_distance.combine_given(self._matrix, distances), non_finite=())
        return self._pipeline(self._matrix, step=self._step)

    def _sum_panels(self, start: int, stop: int) -> None:
        from byzshield.aggregation.kernels import cpu

        for panel in range(start // cpu.PANEL, (stop - 1) // cpu.PANEL + 1):
            first, last = panel * cpu.PANEL, min((panel + 1) * cpu.PANEL, len(self._arrived))
            if self._arrived[first:last].all():
                self._panels[panel] = cpu.panel_distances(self._matrix, first, last, 1.0)
