"""Composition: a `RunConfig` goes in, a finished run's directory and its summary come out.

Each name is imported when it is first used, so that what only reads a run's files needs no torch.
"""

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from byzshield.runtime.builder import Builder as Builder
    from byzshield.runtime.jobs import simulate as simulate
    from byzshield.runtime.jobs import train_mpi as train_mpi
    from byzshield.runtime.run_directory import RunDirectory as RunDirectory
    from byzshield.runtime.run_directory import open_finished as open_finished

_HOMES: Final = {
    "Builder": "builder",
    "RunDirectory": "run_directory",
    "open_finished": "run_directory",
    "simulate": "jobs",
    "train_mpi": "jobs",
}

__all__ = ["Builder", "RunDirectory", "open_finished", "simulate", "train_mpi"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    return value
