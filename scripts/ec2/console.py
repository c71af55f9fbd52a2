"""What the user reads and answers."""

from __future__ import absolute_import, print_function, unicode_literals

import codecs
import io
import os
import sys

from errors import OperationFailed, RequestError
from output import printable


def use_utf8():
    """Python 2 cannot print beyond ASCII into a pipe, nor Python 3.6 in the locale C; this lets them."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if sys.version_info[0] == 2:
            setattr(sys, name, codecs.getwriter("utf-8")(stream))
        elif (stream.encoding or "").lower() not in ("utf-8", "utf8"):
            setattr(sys, name, io.TextIOWrapper(stream.detach(), "utf-8", "replace", line_buffering=True))


def words_of(argv):
    """The command line as text. Python 2 has bytes there, and Python 3 escapes what the locale lacks."""
    words = [word if isinstance(word, bytes) else os.fsencode(word) for word in argv]  # novm: Python 2 has bytes
    return [word.decode("utf-8", "replace") for word in words]


def confirm(question, yes):
    """Returns if the user says yes.

    Args:
        yes: --yes was given, so nobody is asked.

    Raises:
        RequestError: there is nobody to ask.
        OperationFailed: the answer is no.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise RequestError("there is no terminal to answer at; give --yes if you mean it")
    sys.stderr.write("{} [y/N] ".format(question))
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise OperationFailed("not confirmed; nothing was done")


def table(head, rows):
    """Rows under their head, in columns as wide as they must be; None is a dash."""
    lines = [head] + [["-" if cell is None else printable("{}".format(cell)) for cell in row] for row in rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in lines)
