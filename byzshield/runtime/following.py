"""A run as another process sees it, from its files alone: on this host, or on another one over a shared file system."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from byzshield.runtime.directory_lock import is_in_use
from byzshield.runtime.metrics import MetricsTail
from byzshield.runtime.run_directory import open_finished
from byzshield.runtime.standing import Standing

__all__ = ["Ending", "Following"]

KILLED: Final = "killed"


@dataclass(frozen=True, kw_only=True)
class Ending:
    """How a run ended.

    Args:
        status: "complete", "stopped" or "failed", as summary.json has it; or "killed", which left no summary.
        reason: why it did not end well.
        summary: the contents of summary.json.
    """

    status: str
    reason: str = ""
    summary: dict[str, Any] = field(default_factory=dict)


class Following:
    """Looks at a run again and again.

    Attributes:
        standing: how the run stands.
        lines: those that the newest look has found.
        afresh: whether what was found before no longer counts: at the first look, and when a job has begun the run anew or gone
            on from a checkpoint.
        ending: how the run ended; None while it goes on.

    Args:
        path: the run's directory.
        clock: seconds since some moment.

    Raises:
        ConfigError: it is not a run's directory.
    """

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._path, self._clock = path, clock
        self._changed = self._noted = clock()
        self.directory, config = open_finished(path)
        self._tail = MetricsTail(self.directory.metrics)
        self.standing = Standing(at=0, steps=config.run.steps or 0)
        self.lines: list[dict[str, Any]] = []
        self.afresh = True
        self.ending: Ending | None = None

    def look(self) -> None:
        """Takes in what is new.

        Raises:
            ConfigError: the directory is gone, or its summary cannot be read.
            OSError: its metrics cannot be read.
        """
        in_use = is_in_use(self._path)  # before its end is looked for, which a job tells before it lets go of its directory
        self.ending = self._ending(in_use)
        self.afresh, self.lines = self._tail.read()
        if self.afresh or not self.directory.config.exists():
            _, config = open_finished(self._path)  # whose run.steps may be others now
            self.standing = Standing(at=0, steps=config.run.steps or 0)
        for line in self.lines:
            self.standing.add(line)
        if self.afresh or self.lines:
            self._changed = self._noted = self._clock()

    @property
    def silent_seconds(self) -> float:
        """How long nothing has come, as far as was looked."""
        return self._clock() - self._changed

    def falls_silent(self, seconds: float) -> bool:
        """Whether nothing has come for so long, since the newest line or since this was last true."""
        silent = self._clock() - self._noted >= seconds
        if silent:
            self._noted = self._clock()
        return silent

    def _ending(self, in_use: bool | None) -> Ending | None:
        summary = self.directory.read_summary()
        if summary is not None:
            return Ending(status=str(summary.get("status")), reason=str(summary.get("reason") or ""), summary=summary)
        if in_use is not False:
            return None
        from byzshield.runtime.checkpoint import all_checkpoints  # with torch, for which nobody else here has to wait

        checkpoints = all_checkpoints(self.directory.checkpoints)
        rest = f"--resume goes on from step {checkpoints[-1][0]}" if checkpoints else "it has no checkpoint"
        return Ending(status=KILLED, reason=f"no job is running it, and none has said how it ended; {rest}")
