"""Brings results from the parameter server: what is new or has changed, each file whole or not at all.

The host is not trusted: it may name no place outside the folder that was asked for, and links and special files are left there.
"""

from __future__ import absolute_import, print_function, unicode_literals

import collections
import contextlib
import io
import os
import tarfile

import shell
from errors import OperationFailed
from output import last_line
from tree import BLOCK, as_bytes, is_inside, text
from waiting import clock, progress

PROGRESS_SECONDS = 10.0
KINDS = {b"l": "a link", b"p": "a pipe", b"s": "a socket", b"b": "a device", b"c": "a device"}
SAME_TIME = 0.001  # seconds within which two systems' times of a file are equal

_LIST = "find {} -ignore_readdir_race -printf '%y %s %T@ %p\\0'"
_SEND = "tar --create --file=- --format=gnu --no-recursion --hard-dereference --ignore-failed-read --null --files-from=-"

Source = collections.namedtuple("Source", "size modified")
Fetched = collections.namedtuple("Fetched", "files present problems")


def fetch(connection, folder, names, destination, on_file=lambda size: None):
    """Brings the files below folder/NAME, for each of the names (none: all below folder), to destination/NAME.

    Args:
        connection: a remote.Connection.
        folder: on the host.
        names: text.
        destination: a folder here; made if missing.
        on_file: called after each file with its size.

    Returns:
        Fetched: how many files came, how many were here already, and a line for each that was left there.

    Raises:
        ConnectionLost: what has come stays; the next call goes on from there.
        OperationFailed: there is no such folder or name, or what comes is not what was asked for.
    """
    destination = as_bytes(destination)
    sources, problems = _sources(connection, folder, names)
    wanted = {name: source for name, source in sources.items() if not _is_here(os.path.join(destination, name), source)}
    size, said_at, got = 0, clock(), set()
    for name, member in _members(connection, folder, wanted) if wanted else ():
        if name not in wanted or name in got:
            raise OperationFailed("{}: it sent {}, which nobody asked for".format(connection.alias, text(name)))
        try:
            came = _store(member, os.path.join(destination, name), wanted[name].modified)
        except (IOError, OSError) as error:
            raise OperationFailed("{} cannot be written: {}".format(text(name), error.strerror))
        got.add(name)
        size += came
        on_file(came)
        if clock() - said_at > PROGRESS_SECONDS:
            total = sum(source.size for source in wanted.values())
            line = "{}: {} of {} files, {:.0f} of {:.0f} MB"
            progress(line.format(connection.alias, len(got), len(wanted), size / 1e6, total / 1e6))
            said_at = clock()
    problems += ["{} is gone or cannot be read".format(text(name)) for name in sorted(set(wanted) - got)]
    return Fetched(len(got), len(sources) - len(wanted), problems)


def unfetched(connection, folder, destinations):
    """{name: Source} of the files below folder that none of these folders here has as they are there."""
    sources, _ = _sources(connection, folder, ())
    here = [as_bytes(destination) for destination in destinations]
    return {n: source for n, source in sources.items() if not any(_is_here(os.path.join(base, n), source) for base in here)}


def _sources(connection, folder, names):
    """({name: Source}, [a line for each that is refused])."""
    starts = ["./{}".format(name) for name in names] or ["."]
    listing = connection.output(shell.within_folder(folder, _LIST.format(shell.join(starts))), None)
    sources, problems = {}, []
    for record in listing.split(b"\0")[:-1]:
        try:
            kind, size, modified, path = record.split(b" ", 3)
            source = Source(int(size), float(modified))
        except ValueError:
            raise OperationFailed("{}: its list of files cannot be read".format(connection.alias))
        name = path[2:]
        if kind == b"d":
            continue
        if not path.startswith(b"./") or not is_inside(name):
            problems.append("{} is refused: it leads out of the folder".format(text(path)))
        elif kind != b"f":
            problems.append("{} is refused: it is {}".format(text(name), KINDS.get(kind, "no file")))
        else:
            sources[name] = source
    return sources, problems


def _is_here(path, source):
    try:
        found = os.lstat(path)
    except OSError:
        return False
    return found.st_size == source.size and abs(found.st_mtime - source.modified) < SAME_TIME


def _members(connection, folder, wanted):
    """(name, stream) of each file that the host sends."""
    names = b"".join(b"./" + name + b"\0" for name in sorted(wanted))
    running = connection.start(shell.within_folder(folder, _SEND), None, send=[names])
    reader = _Reader(running)
    try:
        with contextlib.closing(tarfile.open(fileobj=reader, mode="r|", encoding="utf-8", errors="surrogateescape")) as members:
            for member in members:
                if member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE):
                    raise OperationFailed("{}: it sent something that is no file".format(connection.alias))
                name = member.name if isinstance(member.name, bytes) else member.name.encode("utf-8", "surrogateescape")
                yield name[2:], members.extractfile(member)
    except (tarfile.TarError, ValueError, UnicodeError):
        reader.drain()
        said = last_line(reader.errors, running.status)
        raise OperationFailed("{}: what it sends is no archive: {}".format(connection.alias, said))


def _store(stream, path, modified):
    """Writes a file beside its place, and moves it there when it is whole; returns its size."""
    folder = os.path.dirname(path)
    if not os.path.isdir(folder):
        os.makedirs(folder)
    part, size = os.path.join(folder, ".fetch-{}".format(os.getpid()).encode("ascii")), 0
    try:
        with io.open(part, "wb") as target:
            for block in iter(lambda: stream.read(BLOCK), b""):
                target.write(block)
                size += len(block)
        os.utime(part, (modified, modified))
        os.rename(part, path)
    finally:
        if os.path.lexists(part):
            os.remove(part)
    return size


class _Reader(object):
    """Standard output of an execution as a file, with what it says on standard error aside."""

    def __init__(self, running):
        self.errors = b""
        self._pieces, self._rest = iter(running), b""

    def read(self, size):
        parts, missing = [self._rest[:size]], size - len(self._rest[:size])
        self._rest = self._rest[size:]
        while missing:
            is_error, block = next(self._pieces, (False, None))
            if block is None:
                break
            if is_error:
                self.errors = (self.errors + block)[-BLOCK:]
                continue
            parts.append(block[:missing])
            self._rest = block[missing:]
            missing -= len(parts[-1])
        return b"".join(parts)

    def drain(self):
        while self.read(BLOCK):
            pass
