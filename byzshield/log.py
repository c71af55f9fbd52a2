"""One logger tree; every line carries the role of the process that wrote it."""

import logging
import sys

__all__ = ["configure", "get_logger"]

ROOT = "byzshield"


def get_logger(name: str) -> logging.Logger:
    """Returns the logger of a module; `name` is its `__name__`."""
    return logging.getLogger(name if name.startswith(ROOT) else f"{ROOT}.{name}")


def configure(role: str, *, level: int = logging.INFO) -> None:
    """Sends the tree to stderr, each line headed by the time and `role` ("PS", "rank 3")."""
    root = logging.getLogger(ROOT)
    root.setLevel(level)
    root.propagate = False
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter(f"%(asctime)s [{role}] %(levelname)s %(message)s", datefmt="%H:%M:%S"))
    root.handlers[:] = [handler]
