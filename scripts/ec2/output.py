"""What hosts print, on this machine's terminal: bytes as they came, whole lines, each behind the name of its host."""

from __future__ import absolute_import, print_function, unicode_literals

import sys
import threading

LONGEST_LINE = 1 << 16  # a line without end is shown in pieces

_one_at_a_time = threading.Lock()


class Lines(object):
    """Shows (is standard error, bytes) from a host by the line, on the stream of the same name.

    Args:
        alias: stands in front of each line.
        only_error: show standard output on standard error, too, where progress belongs.
    """

    def __init__(self, alias, only_error=False):
        self._prefix = "{}: ".format(alias).encode("utf-8")
        self._only_error = only_error
        self._rest = {False: b"", True: b""}

    def show(self, is_error, block):
        lines = (self._rest[is_error] + block).split(b"\n")
        self._rest[is_error] = lines.pop()
        if len(self._rest[is_error]) > LONGEST_LINE:
            lines.append(self._rest[is_error])
            self._rest[is_error] = b""
        if lines:
            self._write(is_error, lines)

    def finish(self):
        """Shows what came without an end of line."""
        for is_error, rest in sorted(self._rest.items()):
            if rest:
                self._write(is_error, [rest])
        self._rest = {False: b"", True: b""}

    def _write(self, is_error, lines):
        write(is_error or self._only_error, b"".join(self._prefix + line + b"\n" for line in lines))


def write(is_error, block):
    """Bytes on standard error or output, at once, and never in the middle of what another thread writes."""
    stream = sys.stderr if is_error else sys.stdout
    with _one_at_a_time:
        stream.flush()
        # Python 3 has bytes beneath the text; Python 2's text, where there is any, is wrapped around the stream.
        binary = getattr(stream, "buffer", None) or getattr(stream, "stream", stream)
        binary.write(block)
        binary.flush()


def last_line(errors, status):
    """The last line that a command wrote to standard error, as a terminal may show it, and its exit status."""
    lines = [line for line in errors.decode("utf-8", "replace").splitlines() if line.strip()]
    if not lines:
        return "exit status {}".format(status)
    return "{} (exit status {})".format(printable(lines[-1].strip()[:500]), status)


def printable(text):
    """The text with ? for each control character."""
    return "".join(character if character >= " " and not "\x7f" <= character <= "\x9f" else "?" for character in text)
