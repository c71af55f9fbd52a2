"""The archive that a host makes of its files: plain members of GNU tar, of which nothing is believed that was not listed before.

(Python's tarfile also takes sparse files, and headers of any length, at the sender's word.)
"""

from __future__ import absolute_import, print_function, unicode_literals

import binascii

import shell
from errors import OperationFailed
from output import last_line
from tree import BLOCK, text
from waiting import clock, progress

PROGRESS_SECONDS = 10.0
MOST_GROWTH = 1 << 26  # bytes by which all files together may be longer when they are sent than when they were listed
MOST_TALK = 1 << 20  # bytes on standard error
LONGEST_NAME = 4096
SLOWEST = 10000  # bytes a second

_SEND = "tar --create --file=- --format=gnu --no-recursion --hard-dereference --ignore-failed-read --null --files-from=-"


class Members(object):
    """The members as they come: iterate over their names, and take the content of each before the next.

    Args:
        connection: a remote.Connection.
        folder: on the host.
        sizes: {name: bytes that the host has listed}.

    Raises:
        ConnectionLost, DeadlinePassed.
        OperationFailed: what comes is no such archive.
    """

    def __init__(self, connection, folder, sizes):
        self._alias, self._sizes, self._left, self._growth = connection.alias, sizes, 0, MOST_GROWTH
        names = b"".join(b"./" + name + b"\0" for name in sorted(sizes))
        self._running = connection.start(shell.within_folder(folder, _SEND), None, send=[names], slowest=SLOWEST)
        self._pieces, self._rest, self._said, self._talk = iter(self._running), b"", b"", 0
        self._files, self._came, self._told_at = 0, 0, clock()

    def __iter__(self):
        name = None
        while True:
            header = self._exactly(512)
            if not header.strip(b"\0"):
                return
            self._left, kind = self._length(header[124:136]), header[156:157]
            if header[257:262] != b"ustar" or self._left is None:
                raise self._refused("what it sends is no archive")
            if kind == b"L" and self._left <= LONGEST_NAME and name is None:
                name = b"".join(self._taken(self._left)).rstrip(b"\0")
            elif kind in (b"0", b"\0"):
                yield (name or header[:100].rstrip(b"\0"))[2:]
                name = None
                self._files += 1
            else:
                raise self._refused("it sent something that is no file")

    def content(self, name):
        """Blocks of the member that the iteration has come to: as many bytes as were listed at the most."""
        listed = min(self._left, self._sizes[name])
        self._growth -= self._left - listed
        if self._growth < 0:
            line = "{}: {} has {} bytes more than it listed; run fetch again"
            raise OperationFailed(line.format(self._alias, text(name), self._left - listed))
        for block in self._taken(listed):
            yield block

    def _taken(self, size):
        """Blocks of the next bytes of the member, and past its end when they have come."""
        padded = self._left + -self._left % 512
        for at in range(0, padded, BLOCK):
            block = self._exactly(min(BLOCK, padded - at))
            if at < size:
                self._tell(len(block))
                yield block[: size - at]

    def _exactly(self, size):
        parts = []
        while size:
            if not self._rest:
                self._rest = self._next()
            if not self._rest:
                raise self._refused("what it sends ends too early")
            parts.append(self._rest[:size])
            self._rest = self._rest[size:]
            size -= len(parts[-1])
        return b"".join(parts)

    def _next(self):
        """The next block of standard output; empty at its end. What it says on standard error is kept aside."""
        for is_error, block in self._pieces:
            if not is_error:
                return block
            self._talk += len(block)
            self._said = (self._said + block)[-BLOCK:]
            if self._talk > MOST_TALK:
                raise OperationFailed("{}: {}".format(self._alias, last_line(self._said, None)))
        return b""

    def _refused(self, what):
        for _ in range(64):  # what it says about it comes last
            if not self._next():
                break
        return OperationFailed("{}: {}: {}".format(self._alias, what, last_line(self._said, self._running.status)))

    def _tell(self, size):
        self._came += size
        if clock() - self._told_at > PROGRESS_SECONDS:
            self._told_at = clock()
            line = "{}: {} of {} files, {:.0f} of {:.0f} MB"
            total = sum(self._sizes.values())
            progress(line.format(self._alias, self._files, len(self._sizes), self._came / 1e6, total / 1e6))

    @staticmethod
    def _length(field):
        """The number in a header: octal digits, or, from 8 GiB on, binary; None if it is neither."""
        if field[:1] == b"\x80":
            return int(binascii.hexlify(field[1:]), 16)
        digits = field.strip(b" \0")
        return int(digits, 8) if digits.isdigit() and not set(digits) & set(b"89") else None
