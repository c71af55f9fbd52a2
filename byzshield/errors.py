"""Every exception that byzshield raises on purpose.

A `RequestError` says that what the user asked for is wrong (exit status 2), `RunStopped` that the run was asked to end early;
any other `ByzShieldError` says that the run failed (exit status 1). What a peer sends wrongly is a `FrameError`: it is caught
by the end that received it, and makes only that peer suspect.
"""

import os
import traceback
from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import Final

__all__ = [
    "STOPPED",
    "ByzShieldError",
    "CheckpointError",
    "ComputationError",
    "ConfigError",
    "DamagedCheckpointError",
    "DataError",
    "DivergedError",
    "FrameError",
    "HandshakeError",
    "LostWorkersError",
    "ParameterError",
    "PlacementError",
    "RequestError",
    "RunStopped",
    "StalledError",
    "StorageError",
    "TooFewRowsError",
    "TransportError",
    "explain",
]

OURS: Final = f"{Path(__file__).parent}{os.sep}"
STOPPED: Final = 143  # exit status of a run that was asked to end early, as after SIGTERM


class ByzShieldError(Exception):
    """The root of every error that byzshield raises on purpose."""


class RequestError(ByzShieldError, ValueError):
    """What was asked for cannot be done; the message says which rule it breaks and what to change."""


class ConfigError(RequestError):
    """A run file or an override is wrong; the message starts with the dotted key."""


class ParameterError(RequestError):
    """A component was constructed or called with arguments outside its range."""


class PlacementError(RequestError):
    """No placement of that scheme has these sizes."""


class DataError(RequestError):
    """A data set is missing or its files are not what they should be."""


class CheckpointError(RequestError):
    """A checkpoint is missing, damaged, or belongs to another run."""


class DamagedCheckpointError(CheckpointError):
    """A checkpoint is not what was written."""


class TooFewRowsError(ParameterError):
    """An aggregator was given fewer rows than its guarantee needs."""


class FrameError(ByzShieldError):
    """Bytes from a peer are not the frame that the receiver expects."""


class StorageError(ByzShieldError, OSError):
    """A file cannot be written, for want of space for instance; the message names it."""


class TransportError(ByzShieldError):
    """The transport itself failed (not a peer's bytes)."""


class HandshakeError(ByzShieldError):
    """Too many workers differ from the parameter server in software, configuration or arithmetic."""


class LostWorkersError(ByzShieldError):
    """So many workers are dead that no later step can be applied."""


class LostProcessError(ByzShieldError):
    """A process that starts others has ended, or can start none."""


class StalledError(ByzShieldError):
    """So many steps in a row were skipped that the run ends."""


class ServerFaultError(ByzShieldError):
    """The server itself computes wrongly."""


class ComputationError(ByzShieldError):
    """Data, network, loss or metrics have raised something in the middle of a run."""


class DivergedError(ByzShieldError):
    """The model itself has left the range of numbers, which is nobody's fault but the run file's.

    Args:
        message: what to say.
        files: those whose gradients are not finite.
        most_false: how many of them can be false.
    """

    def __init__(self, message: str, *, files: Sequence[int] = (), most_false: int = 0) -> None:
        super().__init__(message)
        self.files = tuple(files)
        self.most_false = most_false


class RunStopped(ByzShieldError):
    """The run was asked to end before its last step, and has stored what it did (exit status STOPPED)."""


def explain(error: BaseException) -> str:
    """What an exception out of a user's own code says, and where it was raised, in one line."""
    if isinstance(error, ByzShieldError):
        return str(error)
    text = " ".join(f"{type(error).__name__}: {error}".split()).rstrip(":")
    if isinstance(error, SyntaxError) or error.__traceback__ is None:  # the former says where by itself
        return text
    import sysconfig  # which reads a file

    libraries = (*(sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")), "<frozen")
    places = [place for place in traceback.extract_tb(error.__traceback__) if not place.filename.startswith(OURS)]
    own = [place for place in places if not place.filename.startswith(libraries)]
    if not places:
        return text
    place = (own or places)[-1]  # where the user's own code called what failed, if there is any
    return f"{text} ({PurePath(place.filename).name}, line {place.lineno})"
