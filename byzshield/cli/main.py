"""The command line: parses, calls `runtime`, prints, and turns errors into one line and an exit status."""

import argparse
import atexit
import errno
import gc
import io
import os
import signal
import sys
import time
from collections.abc import Sequence
from types import FrameType
from typing import NoReturn

import byzshield
from byzshield import log
from byzshield.cli.commands import add_parsers
from byzshield.errors import STOPPED, ByzShieldError, RequestError, RunStopped, StorageError
from byzshield.storage import write_text
from byzshield.suggestion import nearest

__all__ = ["entry_point", "main"]

GRACE_SECONDS = 15.0
RANK = os.environ.get("PMIX_RANK", "0")  # set by mpirun, and by srun --mpi=pmix


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        argv: the words after the program's name; None takes them from the system.

    Returns:
        0 done; 1 the run failed; 2 the request was wrong; 143 a run was told to end early; 130 Ctrl-C.
    """
    parser = argparse.ArgumentParser(
        prog="byzshield",
        description="Trains PyTorch models on machines that cannot be fully trusted, and analyzes how well that works.",
    )
    parser.add_argument("--version", action="version", version=f"byzshield {byzshield.__version__}")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    words = sys.argv[1:] if argv is None else argv
    add_parsers(subparsers, [word for word in words if not word.startswith("-")][:1])
    arguments, unknown = parser.parse_known_args(words)
    if unknown:
        _refuse(unknown, subparsers.choices[arguments.command])
    log.configure(arguments.command)
    signal.signal(signal.SIGTERM, _end)
    status = _run(arguments)
    if "exit_file" in arguments and arguments.exit_file is not None and RANK == "0":
        try:
            write_text(arguments.exit_file, f"{status}\n")
        except StorageError as error:
            return _fail(str(error), status or 1)
    return status


def _refuse(unknown: list[str], command: argparse.ArgumentParser) -> NoReturn:
    """Ends as argparse does, with the usage of the command rather than that of them all, and the flag that may be meant."""
    known = [flag for action in command._actions for flag in action.option_strings]
    flags = (word.partition("=")[0] for word in unknown if word.startswith("--"))
    near = next(filter(None, (nearest(flag, known) for flag in flags)), None)
    command.error(f"unrecognized arguments: {' '.join(unknown)}" + (f"; did you mean {near}?" if near else ""))


def entry_point() -> NoReturn:
    """What the `byzshield` script calls."""
    gc.set_threshold(10_000, 10, 10)  # an import of torch makes many objects that stay, which need not be looked through so often
    atexit.register(gc.freeze)  # nor at the end, when the process gives all its memory back
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="surrogateescape")  # a file's name need not be UTF-8
    sys.exit(main())


def _end(number: int, _: FrameType | None) -> NoReturn:
    """Ends by an exception, which lets the run store its last step; a second SIGTERM must not disturb that."""
    signal.signal(number, signal.SIG_IGN)
    sys.exit(STOPPED)


def _run(arguments: argparse.Namespace) -> int:
    try:
        status: int = arguments.run(arguments)
        sys.stdout.flush()
    except RequestError as error:
        return _fail(str(error), 2)
    except RunStopped as error:
        return _fail(str(error), STOPPED)
    except ByzShieldError as error:
        return _fail(str(error), 1)
    except KeyboardInterrupt:
        return _fail("interrupted", 130)
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    except OSError as error:
        if error.filename is not None:
            return _fail(f"{error.filename}: {error.strerror}", 2)
        if error.errno != errno.ENOSPC:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains again when it flushes at the end
        return _fail(f"the output cannot be written: {error.strerror}", 1)
    return status


def _fail(message: str, status: int) -> int:
    if RANK != "0" and status == 2:
        # Every rank finds a mistake in the run file; rank 0 says so and ends the job, this process included.
        # Whoever is still here after that has a problem of its own.
        time.sleep(GRACE_SECONDS)
        message = f"rank {RANK}: {message}"
    # Names of files may have line breaks in them.
    line = "".join(character if character.isprintable() else repr(character)[1:-1] for character in message)
    print(f"byzshield: {line}", file=sys.stderr, flush=True)
    return status
