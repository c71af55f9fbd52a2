"""How long gradients are, and which of them are too long to be believed unchecked."""

from collections.abc import Callable, Collection, Sequence
from math import isfinite
from statistics import median_low
from typing import Final

import numpy as np

from byzshield.arrays import Float32, Float64
from byzshield.wire import ChunkLayout

__all__ = ["GROWN", "OUTLYING", "Lengths"]

OUTLYING: Final = 4.0  # times the median length of a step, above which a gradient is checked for certain
GROWN: Final = 2.0  # times what is known, above which a median itself has to be checked


class Lengths:
    """Finds gradients that would do much harm if they were lies, so that a lie that escapes is one that a mean can bear.

    What is more than OUTLYING times as long as the median of its step is doubtful. Where most files of a step are lies, the
    median is theirs; so it is believed only up to GROWN times a known length. Beyond, files of the step are computed in an order
    that nobody can predict until half of those are at least 1 / GROWN times as long: then gradients have grown, and otherwise
    there is a lie among them. The known length rises to the median of such a sample alone, and falls to that of each step, so it
    never rests on a worker's word, however slowly lies grow. At first it is 0. The median of an even number is the lower one.

    Args:
        layout: the chunks of a gradient.
        num_files: f.
        columns: the part of each vector whose length counts.
    """

    def __init__(self, layout: ChunkLayout, *, num_files: int, columns: slice) -> None:
        self.known = 0.0
        self._layout = layout
        self._columns = columns
        self._squares = np.zeros((num_files, layout.num_chunks))  # of the lengths of chunks, as they came last
        self._sample: list[int] = []
        self._order: list[int] = []  # files that may be taken into the sample, the next one last

    def begin(self) -> None:
        """Begins a step."""
        self._sample, self._order = [], []

    def measure(self, file: int, chunk: int, values: Float32 | Float64) -> None:
        """Notes how long a chunk of the file's winner is, or of another one in its place."""
        first = self._layout.slice(chunk).start
        part = values[max(0, self._columns.start - first) : max(0, self._columns.stop - first)]
        self._squares[file, chunk] = np.einsum("i,i->", part, part, dtype=np.float64)

    def doubtful(self, files: Sequence[int], computed: Collection[int], shuffled: Callable[[], list[int]]) -> list[int]:
        """Which of the files are to be computed by the server; to be asked again once they are.

        Args:
            files: those that have a winner, of which all chunks are measured.
            computed: those that the server has computed.
            shuffled: gives all files in an order at random.
        """
        if not files:
            return []
        lengths = dict(zip(files, self._lengths(files), strict=True))
        median = median_low(lengths.values())
        while median > GROWN * self._believed():
            if not self._sample:
                self._order = [file for file in shuffled() if file in lengths]
            if not self._order:
                break
            self._sample.append(self._order.pop())
            if self._sample[-1] not in computed:
                return self._sample[-1:]
        return [file for file in files if lengths[file] > OUTLYING * median and file not in computed]

    def end(self, files: Sequence[int]) -> None:
        """Learns from a step of which these files have a winner."""
        if files:
            self.known = min(self._believed(), median_low(self._lengths(files)))

    def _believed(self) -> float:
        """The length that the median may be GROWN times as long as."""
        sampled = [length for length in self._lengths(self._sample) if isfinite(length)]
        return max(self.known, median_low(sampled) if sampled else 0.0)

    def _lengths(self, files: Sequence[int]) -> list[float]:
        """Infinite for what is not finite."""
        lengths = np.sqrt(self._squares[list(files)].sum(axis=1))
        finite: list[float] = np.where(np.isfinite(lengths), lengths, np.inf).tolist()
        return finite
