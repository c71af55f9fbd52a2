"""A tar archive as a stream of bytes, made while it is sent."""

from __future__ import absolute_import, print_function, unicode_literals

import io
import sys
import tarfile

from errors import OperationFailed
from tree import BLOCK, text

END = b"\0" * 1024
EXTRACT = "umask 022 && tar --extract --file=- --preserve-permissions --no-same-owner --touch"  # in the current folder of a host


def of_entries(entries):
    """Blocks of the members {name: Entry}, in order; the end of the archive is left to the caller (END)."""
    for name, entry in sorted(entries.items()):
        if entry.identity[0] == b"l":
            yield _header(name, 0, 0o777, entry.identity[1])
            continue
        yield _header(name, entry.size, 0o755 if entry.identity[1] else 0o644)
        for block in _blocks_of(entry, name):
            yield block
        yield _padding(entry.size)


def _blocks_of(entry, name):
    left = entry.size
    try:
        with io.open(entry.path, "rb") as stream:
            while left:
                block = stream.read(min(BLOCK, left))
                if not block:
                    raise OperationFailed("{} has become shorter while it was sent; do it again".format(text(name)))
                left -= len(block)
                yield block
    except (IOError, OSError) as error:
        raise OperationFailed("{}: {}".format(text(name), error.strerror))


def of_bytes(name, content, mode=0o600):
    """Blocks of one member with this content."""
    return [_header(name, len(content), mode), content, _padding(len(content))]


def _header(name, size, mode, target=None):
    member = tarfile.TarInfo(_native(name))
    member.size, member.mode = size, mode
    if target is not None:
        member.type, member.linkname = tarfile.SYMTYPE, _native(target)
    return member.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")


def _padding(size):
    return b"\0" * (-size % 512)


def _native(name):
    """A name as tarfile takes it: bytes under Python 2, text under Python 3."""
    return name if sys.version_info[0] == 2 else name.decode("utf-8", "surrogateescape")
