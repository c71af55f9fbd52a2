"""Waits that leave the core to other ranks."""

import time
from typing import Final

__all__ = ["Backoff"]

SHORTEST: Final = 50e-6
LONGEST: Final = 2e-3


class Backoff:
    """Sleeps a little longer each time nothing has happened, between 50 microseconds and 2 milliseconds."""

    def __init__(self) -> None:
        self._pause = SHORTEST

    def wait(self) -> None:
        """Sleeps, because nothing has happened."""
        time.sleep(self._pause)
        self._pause = min(2 * self._pause, LONGEST)

    def reset(self) -> None:
        """Makes the next wait short again, because something has happened."""
        self._pause = SHORTEST
