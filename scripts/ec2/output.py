"""What hosts print, on this machine's terminal: whole lines, each behind its host's name, and nothing that steers a terminal."""

from __future__ import absolute_import, print_function, unicode_literals

import codecs
import re
import sys
import threading

LONGEST_LINE = 1 << 16  # a line without end is shown in pieces

# Control characters but the tab, which can rewrite the screen, the title or the clipboard; and those that have no width or change
# the direction of writing, by which one line can pass for another.
_UNPRINTABLE = re.compile(
    "[\x00-\x08\x0a-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]"
)

_one_at_a_time = threading.Lock()


class Lines(object):
    """Shows (is standard error, bytes) from a host by the line, on the stream of the same name.

    Args:
        alias: stands in front of each line; None for nothing.
        only_error: show standard output on standard error, too, where progress belongs.
    """

    def __init__(self, alias, only_error=False):
        self._prefix = "" if alias is None else "{}: ".format(alias)
        self._only_error = only_error
        self._rest = {False: "", True: ""}
        self._decoders = {is_error: codecs.getincrementaldecoder("utf-8")("replace") for is_error in (False, True)}

    def show(self, is_error, block):
        lines = (self._rest[is_error] + self._decoders[is_error].decode(block)).split("\n")
        self._rest[is_error] = lines.pop()
        if len(self._rest[is_error]) > LONGEST_LINE:
            lines.append(self._rest[is_error])
            self._rest[is_error] = ""
        if lines:
            self._write(is_error, lines)

    def finish(self):
        """Shows what came without an end of line."""
        for is_error, rest in sorted(self._rest.items()):
            if rest:
                self._write(is_error, [rest])
        self._rest = {False: "", True: ""}

    def _write(self, is_error, lines):
        text = "".join(self._prefix + printable(line[:-1] if line.endswith("\r") else line) + "\n" for line in lines)
        _write(is_error or self._only_error, text.encode("utf-8"))


def _write(is_error, block):
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
    ended = "it did not end" if status is None else "exit status {}".format(status)
    return "{} ({})".format(printable(lines[-1].strip()[:500]), ended) if lines else ended


def printable(text):
    """The text with ? for each character that a terminal does not simply show."""
    return _UNPRINTABLE.sub("?", text)
