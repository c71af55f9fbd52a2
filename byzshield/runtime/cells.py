"""A cell of a sweep in a process of its own, which whatever happens to it cannot take the sweep along."""

import os
import signal
from pathlib import Path
from typing import Final

from byzshield.config import Cell
from byzshield.errors import STOPPED, ConfigError
from byzshield.plots.runs import COMPLETE, FAILED, REFUSED
from byzshield.runtime.fork_server import ForkServer
from byzshield.runtime.run_directory import RunDirectory

__all__ = ["outcome_of", "refusal", "start_cell", "steps_done"]

LOG: Final = "log.txt"
TAIL_BYTES: Final = 8192


def refusal(cell: Cell) -> str:
    """Why a cell is impossible, as far as that shows without its data and its model; "" if it does not."""
    from byzshield.runtime.builder import Builder

    try:
        Builder(cell.config).check()
    except ConfigError as error:
        return str(error)
    return ""


def start_cell(cell: Cell, fork_server: ForkServer) -> int:
    """Starts `byzshield simulate` on a cell; it goes on from the newest checkpoint, if there is one.

    Returns:
        the number of its process, which ends by itself, after its step, once its standard input is closed.

    Raises:
        OSError: the cell's folder cannot be written to.
        LostProcessError: no process can be started.
    """
    directory = RunDirectory(cell.directory)
    directory.path.mkdir(parents=True, exist_ok=True)
    directory.write_config(cell.config)
    log = cell.directory / LOG
    log.write_bytes(b"")
    return fork_server.start(["simulate", str(directory.config), "--resume", "--end-with-stdin"], log=log)


def outcome_of(cell: Cell, status: int) -> tuple[str, str]:
    """How a cell ended, and why, from the exit status of its process and its last words."""
    if status == 0:
        return COMPLETE, ""
    if status < 0 or status == STOPPED:
        name = signal.Signals(-status).name if status < 0 else "SIGTERM"
        return FAILED, f"its process was ended by {name}" + (" (out of memory?)" if name == "SIGKILL" else "")
    words = _last_line(cell.directory / LOG).removeprefix("byzshield: ")
    return (REFUSED if status == 2 else FAILED), words or f"its process ended with exit status {status}"


def steps_done(cell: Cell) -> int:
    """The steps in a cell's metrics.jsonl."""
    line = _last_line(cell.directory / "metrics.jsonl")
    digits = line.partition('"step": ')[2].partition(",")[0]
    return int(digits) if digits.isdecimal() else 0


def _last_line(path: Path) -> str:
    """The last whole line of a file that is not blank; "" without one."""
    try:
        with open(path, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - TAIL_BYTES))
            tail = file.read().decode(errors="replace")
    except OSError:
        return ""
    lines = [line for line in tail.splitlines(keepends=True) if line.endswith("\n") and line.strip()]
    return lines[-1].strip() if lines else ""
