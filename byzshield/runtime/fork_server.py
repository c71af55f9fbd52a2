"""The process that `byzshield.cli.fork_server` is, as those see it who have it start others."""

import json
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from byzshield.errors import LostProcessError
from byzshield.strict_json import dumps

__all__ = ["ForkServer"]


class ForkServer:
    """Starts processes that run the command line, each forked from one that has imported what a run needs.

    What happens to one of them happens to no other. Each is in a group of its own, so that Ctrl-C in a terminal reaches none. Its
    standard input ends when that process does, which in turn ends with the one that has made this object. Threads may share it.

    Args:
        log: a file for what that process has to say.
        inherited: a file descriptor that it and all its processes keep open.

    Raises:
        OSError: the log cannot be written, or no process can be started.
    """

    def __init__(self, log: Path, *, inherited: int) -> None:
        self._log, self._guard = log, threading.Lock()
        # -P: as for the command `byzshield`, no file of the current folder takes the place of an installed module.
        command = [sys.executable, "-P", "-m", "byzshield.cli.fork_server"]
        with open(log, "wb") as file:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=file, process_group=0, pass_fds=(inherited,)
            )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._requests, self._answers = self._process.stdin, self._process.stdout

    def start(self, words: list[str], *, log: Path) -> int:
        """Starts `byzshield` with these words, and returns the number of its process.

        Args:
            words: a command and its arguments.
            log: a file to which its standard error is appended; its standard output goes nowhere.

        Raises:
            LostProcessError: no process can be started, or there is none any more to fork it from.
        """
        number = self._ask([str(log), *words])
        if not isinstance(number, int):
            raise LostProcessError(str(number))
        return number

    def exit_status(self, number: int) -> int | None:
        """How a process has ended, negative if by a signal; None if it has not. It is told once.

        Raises:
            LostProcessError: the process that it was forked from has ended.
        """
        status: int | None = self._ask(number)
        return status

    def close(self) -> None:
        """Ends the standard input of all processes, and waits until they have ended."""
        self._process.terminate()
        self._process.wait()
        with self._guard, suppress(BrokenPipeError):
            self._requests.close()
            self._answers.close()

    def _ask(self, request: Any) -> Any:
        with self._guard, suppress(BrokenPipeError):
            if not self._requests.closed:
                self._requests.write(dumps(request).encode() + b"\n")
                self._requests.flush()
                if answer := self._answers.readline():
                    return json.loads(answer)
        raise LostProcessError(
            f"the process that others are forked from has ended with exit status {self._process.wait()}; {self._log} may say why"
        )
