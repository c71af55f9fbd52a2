"""One logger tree; every line carries the role of the process that wrote it."""

import logging
import os
import sys
from typing import Final, TextIO

__all__ = ["FRESH", "can_redraw", "configure", "get_logger"]

ROOT = "byzshield"
FRESH: Final = "\r\x1b[K"
"""To the first column of a terminal, and clear what is in the line."""


def get_logger(name: str) -> logging.Logger:
    """Returns the logger of a module; `name` is its `__name__`."""
    return logging.getLogger(name if name.startswith(ROOT) else f"{ROOT}.{name}")


def configure(role: str, *, level: int = logging.INFO) -> None:
    """Sends the tree to stderr, each line headed by the time and `role` ("PS", "rank 3")."""
    root = logging.getLogger(ROOT)
    root.setLevel(level)
    root.propagate = False
    handler = logging.StreamHandler(sys.stderr)
    fresh = FRESH if can_redraw(sys.stderr) else ""  # a line of progress may be there, which is drawn again below
    handler.setFormatter(logging.Formatter(f"{fresh}%(asctime)s [{role}] %(levelname)s %(message)s", datefmt="%H:%M:%S"))
    root.handlers[:] = [handler]


def can_redraw(stream: TextIO) -> bool:
    """Whether it is a terminal on which a line can be drawn again and again."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"
