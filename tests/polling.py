"""Waits for conditions instead of sleeping for guessed times."""

import time
from collections.abc import Callable
from typing import Any

__all__ = ["wait_for"]


def wait_for(condition: Callable[[], Any], what: str, seconds: float = 60.0, *, every: float = 0.02) -> Any:
    """Returns the condition's first true value; looks every so many seconds: less often where a look costs a process.

    Raises:
        AssertionError: it has none within that time.
    """
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(every)
