"""One step's aggregate, made of one window of columns after the other, so that nobody holds all winners whole."""

from collections import deque
from collections.abc import Collection, Sequence
from contextlib import suppress

import numpy as np

from byzshield.aggregation import Aggregate, Pipeline
from byzshield.aggregation.matrix import NonFiniteFound, move_up, non_finite_rows
from byzshield.arrays import Float32, Float64
from byzshield.errors import TooFewRowsError
from byzshield.wire import ChunkLayout

__all__ = ["WindowedAggregate"]

_Rows = tuple[frozenset[int], set[int]]
"""Of what a window was made: the files that were there, and those of them that were left out as not finite."""


class WindowedAggregate:
    """Combines the winners window by window into the bits that the pipeline gives for all columns at once.

    A row that has a value which is not finite in any column is left out of all, and so is a file that nobody delivers to the
    end. Either may show when windows have been combined with that row: these are done again at the end, which needs their
    columns once more. What is left out only grows, so that comes to an end: of values that are not finite, all are known after
    the first pass; of files that are not delivered, there may be as many passes as workers can corrupt files, unless those are
    given up together (`WindowedRound`).

    Args:
        pipeline: `works_by_columns`.
        layout: the chunks of a gradient.
        num_files: f.
        num_parameters: p; behind them are the statistics.
        chunks: chunks a window.
        step: the training step, from 1.
    """

    def __init__(
        self, pipeline: Pipeline, *, layout: ChunkLayout, num_files: int, num_parameters: int, chunks: int, step: int
    ) -> None:
        self._pipeline = pipeline
        self._layout = layout
        self._num_parameters = num_parameters
        self._step = step
        self._vector: Float32 = np.empty(num_parameters, dtype=np.float32)
        self._statistics: Float32 = np.empty((num_files, layout.size - num_parameters), dtype=np.float32)
        starts = range(0, layout.num_chunks, chunks)
        self._windows = [range(first, min(first + chunks, layout.num_chunks)) for first in starts]
        self._to_do = deque(self._windows)
        self._files: list[int] = []  # that were there for the last window
        self._non_finite: set[int] = set()  # files, maybe of some that are no longer there
        self._made_of: dict[range, _Rows] = {}

    @property
    def chunks(self) -> range:
        """The chunks of the window that comes next; none if all are done."""
        return self._to_do[0] if self._to_do else range(0)

    @property
    def begun(self) -> bool:
        """Whether a window is made, of files that may yet be missing."""
        return bool(self._made_of)

    @property
    def done(self) -> bool:
        """Whether every window is made of the same rows."""
        return not self._to_do

    def place(self, chunk: int) -> slice:
        """Where a chunk of the window stands in a row of the window's matrix."""
        first, columns = self._layout.slice(self.chunks[0]).start, self._layout.slice(chunk)
        return slice(columns.start - first, columns.stop - first)

    def combine(self, matrix: Float32 | Float64, files: Sequence[int]) -> None:
        """Combines the window that comes next.

        Args:
            matrix: [f, w], of which the rows of the files hold this window; anything afterwards.
            files: that are complete, ascending; never one that was missing before.
        """
        window = self._to_do.popleft()
        first, last = self._layout.slice(window[0]).start, self._layout.slice(window[-1]).stop
        split = max(first, min(last, self._num_parameters))
        rows = move_up(matrix[:, : last - first], files)
        self._files = list(files)
        if split < last:
            behind = rows[:, split - first :]
            self._statistics[files, split - self._num_parameters : last - self._num_parameters] = behind
            self._note(non_finite_rows(behind))
        if first < split and files:
            self._combine_gradients(rows[:, : split - first], slice(first, split))
        self._made_of[window] = self._rows()
        self._go_on()

    def forget(self, file: int) -> None:
        """Does all windows again, since a file has another row from now on, or one at last."""
        self._non_finite.discard(file)
        self._made_of.clear()
        self._go_on()

    def result(self, files: Sequence[int]) -> Aggregate:
        """What the pipeline would have made of these files, of which all windows are made; ascending."""
        assert self._files == list(files)
        dropped = self._dropped()
        try:
            self._pipeline.check_rows(len(files), numbers=files, dropped=dropped)
        except TooFewRowsError as error:
            return Aggregate(vector=None, non_finite=dropped, reason=str(error))
        statistics = self._pipeline.combine_statistics(self._statistics[files], dropped)
        return Aggregate(vector=self._vector, statistics=statistics, non_finite=dropped)

    def _combine_gradients(self, rows: Float32 | Float64, columns: slice) -> None:
        """Writes a part of the result; with too few rows, only looks for values that are not finite."""
        try:
            self._vector[columns] = self._combined(rows)
        except NonFiniteFound:
            self._note(non_finite_rows(rows))
            with suppress(TooFewRowsError):
                self._vector[columns] = self._combined(rows)
        except TooFewRowsError:
            self._note(non_finite_rows(rows))

    def _combined(self, rows: Float32 | Float64) -> Float32:
        return self._pipeline.combine_columns(rows, self._dropped(), numbers=self._files, step=self._step)

    def _go_on(self) -> None:
        """After the last window, does those again that are not made of the same rows."""
        if not self._to_do:
            self._to_do.extend(window for window in self._windows if self._made_of.get(window) != self._rows())

    def _rows(self) -> _Rows:
        return frozenset(self._files), self._non_finite.intersection(self._files)

    def _note(self, rows: Collection[int]) -> None:
        self._non_finite.update(self._files[row] for row in rows)

    def _dropped(self) -> tuple[int, ...]:
        return tuple(row for row, file in enumerate(self._files) if file in self._non_finite)
