"""Postpones signals that end a run while weights, metrics and checkpoints are changed together."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

__all__ = ["Postponed", "postpone_signals"]

ENDING = (signal.SIGTERM, signal.SIGINT)


class Postponed:
    """Collects the signals of a `postpone_signals` block."""

    def __init__(self) -> None:
        self._arrived: list[int] = []
        self._handlers: dict[int, Any] = {}

    def hold(self) -> None:
        """From now on, signals are only noted."""
        if threading.current_thread() is threading.main_thread():  # which alone receives them and may say what they do
            self._handlers = {number: signal.signal(number, self._note) for number in ENDING}

    def release(self) -> None:
        """From now on, signals act at once; those that were noted act now."""
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        while self._arrived:
            signal.raise_signal(self._arrived.pop(0))

    @contextmanager
    def delivered(self) -> Iterator[None]:
        """Lets signals act within this inner block, which may take long and can be given up at any point."""
        try:
            self.release()
            yield
        finally:
            self.hold()

    def _note(self, number: int, _: FrameType | None) -> None:
        self._arrived.append(number)


@contextmanager
def postpone_signals() -> Iterator[Postponed]:
    """SIGTERM and SIGINT that arrive within the block act at its end."""
    postponed = Postponed()
    postponed.hold()
    try:
        yield postponed
    finally:
        postponed.release()
