"""Forks processes that run the command line, so that they share one import of all that a run needs.

Started by `byzshield.runtime.fork_server` as `python -m byzshield.cli.fork_server`.
"""

import atexit
import gc
import json
import os
import signal
import sys
from contextlib import suppress
from typing import BinaryIO, Final, NoReturn

from byzshield.cli.listing import registry_of
from byzshield.cli.main import entry_point

__all__ = ["serve"]

NAMED_IN_A_RUN: Final = ("placements", "aggregators", "pre-aggregators", "attacks", "models", "datasets", "losses", "metrics")


def serve() -> list[str] | None:
    """Does what the lines of standard input ask for, and answers each with a line of JSON on standard output.

    A list of words, a log file and the words of a command, starts a process in a group of its own; the answer is its number, or
    why there is none. A number asks for the exit status of that process; null if it still runs. The standard input of all these
    processes ends when that of this one does, when this one gets a SIGTERM, and whatever else ends it. It then waits for them.

    Returns:
        in a new process the words of its command; None at the end.
    """
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb", buffering=0)
    lifeline, held = os.pipe()
    os.dup2(lifeline, 0)
    os.close(lifeline)
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 1)
    gc.disable()
    _import_what_runs_need()
    gc.freeze()  # no process looks through what all of them share, which would copy it
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # until now there was nothing to end in order
    server = os.getpid()
    try:
        for line in requests:
            request = json.loads(line)
            answer = _status(request) if isinstance(request, int) else _start()
            if os.getpid() != server:
                _become_a_process_of_its_own(request[0], requests, answers, held)
                return [*request[1:]]
            answers.write(json.dumps(answer).encode() + b"\n")
    finally:
        if os.getpid() == server:
            os.close(held)
            with suppress(ChildProcessError):
                while True:
                    os.wait()
    return None


def _import_what_runs_need() -> None:
    """Imports it. Nothing here may start a thread that outlives the call, draw a random number or look for a GPU."""
    import numpy as np

    import byzshield.cli.simulate
    import byzshield.runtime.jobs  # noqa: F401
    from byzshield.aggregation import Median

    for kind in NAMED_IN_A_RUN:
        registry_of(kind).names()
    Median()(np.zeros((3, 1), np.float32))  # numba imports a part of itself when it loads the first compiled code


def _start() -> int | str:
    try:
        return os.fork()
    except OSError as error:
        return f"no process can be started: {error.strerror}"


def _status(number: int) -> int | None:
    ended, status = os.waitpid(number, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if ended else None


def _become_a_process_of_its_own(log: str, requests: BinaryIO, answers: BinaryIO, held: int) -> None:
    """Leaves nothing in a forked process that a new one would not have, but for modules."""
    import numpy as np
    import torch

    os.setpgid(0, 0)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    with open(log, "ab") as file:
        os.dup2(file.fileno(), 2)
    requests.close()
    answers.close()
    os.close(held)
    np.random.seed()  # whoever draws from these without a seed of its own draws something else in each process
    torch.default_generator.seed()
    gc.enable()


_exit_status = 1  # that of an exception which nobody catches


def _leave() -> NoReturn:
    """Ends this process once Python has done all but take its modules apart, which would copy what all processes share."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(_exit_status)


if __name__ == "__main__":
    atexit.register(_leave)  # before all others, and so called after them
    try:
        if (words := serve()) is not None:
            sys.argv[1:] = words
            entry_point()
        sys.exit()
    except SystemExit as end:
        _exit_status = end.code if isinstance(end.code, int) else int(end.code is not None)
        raise
