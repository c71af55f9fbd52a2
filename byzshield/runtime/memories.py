"""Where the adversary keeps what it remembers, so that a run that is resumed or goes back goes on as if it had not."""

import re
import zipfile
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np

from byzshield.attacks import Memory
from byzshield.config import RunConfig
from byzshield.errors import StorageError
from byzshield.log import get_logger
from byzshield.storage import atomic_write, named_errors, parts_of

__all__ = ["MemoryFolder"]

LOG = get_logger(__name__)
PREFIX: Final = "memory."  # of the names in a file, which numpy's own keywords are not to meet
MANY: Final = 20  # skipped steps in a row, where their number is not bounded
SPARE: Final = 2  # notes beyond those that skipped steps may have made since the last step that was applied


class MemoryFolder:
    """A folder of notes, worker_W/step_N.npz: what leader W remembers after step N, and after those behind it without a note.

    They are the adversary's, on the host of its leader; the server neither writes nor reads them, and where they are missing or
    cannot be written, the run goes on, and a warning says what that means. A checkpoint of the server is never ahead of
    them. Those that no checkpoint can ask for are removed.

    Args:
        folder: made when the first is written.
        config: of the run, which says at which steps there are checkpoints.
    """

    def __init__(self, folder: Path, config: RunConfig) -> None:
        run = config.run
        self._folder = folder
        self._every, self._checkpoints = run.checkpoint_every, run.keep_checkpoints
        self._newest = (config.cluster.max_skipped or MANY) + SPARE
        self._failed = False

    def read(self, worker: int, *, before: int) -> tuple[int, Memory] | None:
        """As `StoredMemories`: the newest note from before a step that is not damaged; those from that step on are removed."""
        found: tuple[int, Memory] | None = None
        for step, path in reversed(self._notes(worker)):
            if found is None and step < before:
                found = _loaded(step, path)
            if found is None:  # damaged, or of a step that is done again
                with suppress(OSError):
                    path.unlink()
        if found is None and before > 1:
            LOG.warning(
                "%s has no memory of worker %d, which leads the attack from step %d on: the attack begins anew, so its results "
                "are not those of a run that was not interrupted",
                self._folder,
                worker,
                before,
            )
        return found

    def write(self, worker: int, step: int, memory: Memory) -> None:
        """As `StoredMemories`; a disk that is full costs a warning."""
        path = self._path(worker, step)
        try:
            with named_errors(path):
                path.parent.mkdir(parents=True, exist_ok=True)
            for part in parts_of(path.parent / "step_*.npz"):
                part.unlink(missing_ok=True)
            with atomic_write(path) as file:
                np.savez(file, allow_pickle=False, **{f"{PREFIX}{name}": array for name, array in memory.items()})
            self._remove_unneeded(worker, step)
        except (StorageError, OSError) as error:
            if not self._failed:
                LOG.warning("what the attack remembers is not stored, and a run that is resumed begins it anew: %s", error)
            self._failed = True

    def _path(self, worker: int, step: int) -> Path:
        return self._folder / f"worker_{worker}" / f"step_{step}.npz"

    def _notes(self, worker: int) -> list[tuple[int, Path]]:
        """(step, path) of the notes of a worker, oldest first."""
        paths = self._path(worker, 0).parent.glob("step_*.npz")
        found = ((re.fullmatch(r"step_(\d+)\.npz", path.name), path) for path in paths)
        return sorted((int(match[1]), path) for match, path in found if match)

    def _remove_unneeded(self, worker: int, now: int) -> None:
        """Removes what is followed by another note before the next checkpoint, or is older than all that stay."""
        notes = self._notes(worker)
        oldest = self._every * (now // self._every - self._checkpoints) if self._every and self._checkpoints else 0
        for (step, path), (following, _) in list(pairwise(notes))[: -self._newest]:
            checkpoint = self._every * ((following - 1) // self._every) if self._every else 0
            if checkpoint < max(step, oldest):
                path.unlink(missing_ok=True)


def _loaded(step: int, path: Path) -> tuple[int, Memory] | None:
    """The content of a note; None if it is damaged."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return step, {name.removeprefix(PREFIX): array for name, array in arrays.items()}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        LOG.warning("%s cannot be read, and an older memory is used in its place: %s", path, error)
        return None
