"""Runs the cells of a sweep, several at a time, and goes on where an earlier start was cut off."""

import threading
import time
from typing import Any, Final, Protocol

from byzshield.config import Cell, Sweep
from byzshield.errors import ConfigError, StorageError
from byzshield.plots.directories import cell_run
from byzshield.plots.runs import COMPLETE, FAILED, PENDING, Run
from byzshield.runtime.cells import LOG, outcome_of, start_cell, steps_done
from byzshield.runtime.directory_lock import DirectoryLock
from byzshield.runtime.fork_server import ForkServer
from byzshield.runtime.sweep_results import results_of, write_results

__all__ = ["SweepProgress", "run_sweep"]

POLL_SECONDS: Final = 0.1
LOCK_SECONDS: Final = 30.0  # for the cells of a killed sweep to store what they have


class SweepProgress(Protocol):
    """Is told how far a sweep has come; by one thread at a time."""

    def start(self, sweep: Sweep, *, complete: int, steps: int, jobs: int) -> None:
        """It begins: of its cells some are complete from earlier, and the others need so many steps."""

    def advance(self, steps: int) -> None:
        """This many more steps are done, in whichever cells."""

    def ended(self, run: Run, *, steps_left: int) -> None:
        """A cell has ended, so many steps before its last one."""

    def finish(self) -> None:
        """The sweep is over, one way or the other."""


def run_sweep(sweep: Sweep, *, jobs: int, progress: SweepProgress) -> dict[str, Any]:
    """Runs all cells that are not complete yet.

    A cell runs in a process of its own. One that fails, is refused or is killed is a row of the results with the reason, and is
    tried again at the next start, from its newest checkpoint. results.json is up to date after every cell.

    Args:
        sweep: the sweep.
        jobs: how many cells at a time.
        progress: is told.

    Returns:
        the contents of results.json.

    Raises:
        ConfigError: the folder cannot be written to, or another sweep is running there.
    """
    try:
        sweep.directory.mkdir(parents=True, exist_ok=True)
        lock = DirectoryLock(sweep.directory, patience=LOCK_SECONDS, otherwise="stop it")
        try:
            return _Runner(sweep, lock.descriptor, progress).run(jobs)
        finally:
            lock.release()
    except StorageError:
        raise
    except OSError as error:
        raise ConfigError(f"run.output_dir: {sweep.directory} cannot be written: {error.strerror}") from error


def _steps_left(cell: Cell, done: int) -> int:
    """Steps that it still has to do; 0 where only its process knows how many those are."""
    return 0 if cell.steps is None else cell.steps - done


class _Runner:
    """The state of one start of a sweep, which several threads share under a lock."""

    def __init__(self, sweep: Sweep, lock: int, progress: SweepProgress) -> None:
        self._sweep, self._lock, self._progress = sweep, lock, progress
        self._runs = {cell.name: _read(sweep, cell) for cell in sweep.cells}
        self._guard = threading.Lock()
        self._running: set[str] = set()
        self._ending = False

    def run(self, jobs: int) -> dict[str, Any]:
        from joblib import Parallel, delayed

        waiting = [cell for cell in self._sweep.cells if not self._is_complete(cell)]
        left = sum(_steps_left(cell, steps_done(cell)) for cell in waiting)
        self._progress.start(self._sweep, complete=len(self._sweep.cells) - len(waiting), steps=left, jobs=jobs)
        self._write()
        fork_server = ForkServer(self._sweep.directory / LOG, inherited=self._lock) if waiting else None
        try:
            # Threads, each of which attends to a process of its own: a pool of processes breaks with the first that is killed.
            Parallel(n_jobs=jobs, backend="threading", batch_size=1, pre_dispatch=jobs)(
                delayed(self._attend)(cell, fork_server) for cell in waiting
            )
        finally:
            if fork_server is not None:
                self._end(fork_server)
            self._progress.finish()
            results = self._write()
        return results

    def _is_complete(self, cell: Cell) -> bool:
        run = self._runs[cell.name]
        return run.status == COMPLETE and cell.steps in (None, run.facts.get("steps"))

    def _attend(self, cell: Cell, fork_server: ForkServer) -> None:
        """Runs a cell to its end."""
        with self._guard:
            if self._ending:
                return
            self._running.add(cell.name)
        process = start_cell(cell, fork_server)
        done, status = steps_done(cell), None
        while status is None:
            time.sleep(POLL_SECONDS)
            status = fork_server.exit_status(process)
            now = steps_done(cell)
            with self._guard:
                self._progress.advance(now - done)
            done = now
        with self._guard:
            if self._ending:
                return
            verdict, reason = outcome_of(cell, status)
            self._runs[cell.name] = run = _read(self._sweep, cell, status=verdict, reason=reason)
            self._progress.ended(run, steps_left=_steps_left(cell, done))
            self._write()
            self._running.remove(cell.name)

    def _write(self) -> dict[str, Any]:
        results = results_of(self._sweep, list(self._runs.values()))
        write_results(self._sweep, results)
        return results

    def _end(self, fork_server: ForkServer) -> None:
        """Ends the cells that are still running, each after its step and with a checkpoint."""
        with self._guard:
            self._ending = True
        fork_server.close()
        for cell in self._sweep.cells:
            if cell.name in self._running:
                known = self._runs[cell.name]
                self._runs[cell.name] = _read(self._sweep, cell, status=known.status, reason=known.reason)


def _read(sweep: Sweep, cell: Cell, *, status: str = PENDING, reason: str = "") -> Run:
    """What a cell's folder comes to; if that is damaged, the cell has failed, and is run again."""
    facts: dict[str, Any] = {"settings": cell.settings, "seed": cell.config.run.seed, "sweep": sweep.name}
    try:
        return cell_run(cell.directory, status=status, reason=reason, **facts).without_lines()
    except ConfigError as error:
        return Run(name=cell.name, settings=cell.settings, status=FAILED, reason=str(error), sweep=sweep.name, facts=facts)
