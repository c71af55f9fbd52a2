"""Whether it pays to compress, which depends on the network and on who has time to spare: found by trying."""

from statistics import median
from typing import Final

__all__ = ["CompressionTrial"]

ORDER: Final = 4 * (False, True, True, False)  # so that what drifts falls on both alike
HELD: Final = 15 * len(ORDER)  # steps between two trials
WORTH: Final = 0.98  # of the time without, for which the work of compressing is taken on


class CompressionTrial:
    """Compares exchanges with and without, in the first steps and now and then, and goes the faster way in between.

    It measures all that counts, also what no formula knows: compressing takes the workers time, which they may have, and
    decompressing takes the server time, which it hardly has. Both ways give the same values, bit for bit; workers that hold back
    what they send in some steps choose the way, and nothing else. The first step, in which everything is cold, does not count.
    """

    def __init__(self) -> None:
        self._place = -2  # of the step under way: 0 is the first that is tried, and the step before it the run's first
        self._seconds: dict[bool, list[float]] = {False: [], True: []}
        self._choice = False

    def begin_step(self) -> bool:
        """Whether to compress in the next step."""
        self._place += 1
        if self._place == len(ORDER):
            self._choice = median(self._seconds[True]) < WORTH * median(self._seconds[False])
            self._seconds = {False: [], True: []}
        elif self._place == len(ORDER) + HELD:
            self._place = 0
        return ORDER[self._place] if 0 <= self._place < len(ORDER) else self._choice

    def end_step(self, seconds: float) -> None:
        """Notes how long the exchange of the step under way has taken."""
        if 0 <= self._place < len(ORDER):
            self._seconds[ORDER[self._place]].append(seconds)
