"""Commands for the bash of a host: quoted, with a deadline that the host keeps."""

from __future__ import absolute_import, print_function, unicode_literals

try:
    from shlex import quote  # novm: Python 2 goes on below
except ImportError:  # Python 2
    from pipes import quote

KILL_AFTER = 10  # seconds that a command has between TERM and KILL

# The command ends with the connection: at the end of standard input, which the connection holds open, it gets a TERM.
# (A background job of bash has no standard input unless another descriptor keeps it.)
_WHILE_CONNECTED = (
    "exec 3<&0; "
    'timeout --kill-after={after} "$1" bash --norc -c "$2" </dev/null 3<&- & job=$!; '
    '{{ cat <&3; kill -TERM "$job"; }} >/dev/null 2>&1 & watch=$!; '
    'exec 3<&-; wait "$job" 2>/dev/null; status=$?; kill "$watch" 2>/dev/null; exit "$status"'
)
_WITH_INPUT = 'exec timeout --kill-after={after} "$1" bash --norc -c "$2"'

__all__ = ["KILL_AFTER", "join", "quote", "within", "within_folder"]


def join(words):
    """One command line of which bash makes these words again."""
    return " ".join(quote(word) for word in words)


def within(seconds, command, has_input):
    """The command under a deadline that the host itself keeps; it also ends when the connection does.

    Args:
        seconds: None for no deadline.
        has_input: whether the command reads standard input, whose end it then sees itself.
    """
    script = (_WITH_INPUT if has_input else _WHILE_CONNECTED).format(after=KILL_AFTER)
    return join(["bash", "--norc", "-c", script, "bash", "{:.0f}".format(seconds or 0), command])


def within_folder(folder, command):
    """The command, run in that folder."""
    return "cd {} || exit; {}".format(quote(folder), command)
