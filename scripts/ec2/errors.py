"""What ends a command: one line for the user, and the exit status that goes with it."""

from __future__ import absolute_import, print_function, unicode_literals


class LauncherError(Exception):
    """The line that the user reads, without a traceback."""

    status = 1


class RequestError(LauncherError):
    """The request was wrong: a bad flag, a bad configuration, something that cannot be."""

    status = 2


class OperationFailed(LauncherError):
    """The request was right, and what it asked for did not work."""
