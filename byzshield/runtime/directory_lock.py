"""One job at a time in a folder."""

import fcntl
import os
import socket
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from byzshield.errors import ConfigError
from byzshield.log import get_logger

__all__ = ["LOCK_NAME", "DirectoryLock", "is_in_use"]

LOG = get_logger(__name__)
LOCK_NAME: Final = ".lock"
PATIENCE_SECONDS: Final = 1.0
POLL_SECONDS: Final = 0.05
HOLDER_BYTES: Final = 300


class DirectoryLock:
    """Holds a folder until `release`, or until this process ends in whatever way.

    The lock is `flock` on a file in the folder; the file says who holds it, and stays. On NFS, Linux turns it into a lock of the
    server's, which holds between hosts unless the share is mounted with nolock or local_lock.

    Args:
        folder: the folder, which exists.
        patience: seconds that the last holder may take to end, or the next one to write its name.
        otherwise: what to do but wait, for the message.

    Raises:
        ConfigError: another job holds it.
        OSError: the folder cannot be written to.
    """

    def __init__(self, folder: Path, *, patience: float = PATIENCE_SECONDS, otherwise: str = "take another run.name") -> None:
        self._patience = patience
        self._otherwise = otherwise
        self._descriptor = os.open(folder / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            self._acquire(folder)
        except BaseException:
            self.release()
            raise

    @property
    def descriptor(self) -> int:
        """The file descriptor of the lock; a process that inherits it holds the lock as well."""
        return self._descriptor

    def release(self) -> None:
        """Lets others in; a second time, it does nothing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _acquire(self, folder: Path) -> None:
        deadline = time.monotonic() + self._patience
        while not self._attempt(folder):
            if time.monotonic() > deadline:
                raise ConfigError(f"{folder} is in use by {self._holder()}; wait until it has ended, or {self._otherwise}")
            time.sleep(POLL_SECONDS)

    def _attempt(self, folder: Path) -> bool:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as error:
            LOG.warning("the file system of %s has no locks (%s): see to it that no second job uses it", folder, error.strerror)
            return True
        with suppress(OSError):  # a full disk is for those to report who need it
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)
        return True

    def _holder(self) -> str:
        text = os.pread(self._descriptor, HOLDER_BYTES, 0).decode(errors="replace")
        return "".join(character for character in text if character.isprintable()) or "another job"


def is_in_use(folder: Path) -> bool | None:
    """Whether a job holds the folder; None if that cannot be told from this host.

    A job that starts just now waits for longer than this takes.
    """
    try:
        with open(folder / LOCK_NAME, "rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            here = file.read(HOLDER_BYTES).decode(errors="replace").rstrip().endswith(f" on {socket.gethostname()}")
    except BlockingIOError:
        return True
    except OSError:  # no such file, or no locks
        return None
    return False if here else None  # on a share that is mounted with nolock, another host's lock is not seen
