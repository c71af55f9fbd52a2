"""Brings results from the parameter server: what is new or has changed, each file whole or not at all.

The host is not trusted: it may name no place outside the folder that was asked for, links and special files are left there, and
no more is written than it has listed and this machine has room for.
"""

from __future__ import absolute_import, print_function, unicode_literals

import collections
import io
import os

import shell
from errors import OperationFailed
from members import Members
from tree import as_bytes, is_inside, is_printable, text

KINDS = {b"l": "a link", b"p": "a pipe", b"s": "a socket", b"b": "a device", b"c": "a device"}
SAME_TIME = 0.001  # seconds within which two systems' times of a file are equal

MOST_FILES = 100000
LATEST = 1e11  # seconds since 1970 that every file system and both Pythons can take for a time
SPARE = 500000000  # bytes of the disk that are left free
DISK_BLOCK = 4096

_LIST = "find {} -ignore_readdir_race -printf '%y %s %T@ %p\\0'"

Source = collections.namedtuple("Source", "size modified")
Fetched = collections.namedtuple("Fetched", "files present problems")


def fetch(connection, folder, names, destination, seconds, on_file=lambda name: None):
    """Brings the files below folder/NAME, for each of the names (none: all below folder), to destination/NAME.

    Args:
        connection: a remote.Connection.
        folder: on the host.
        names: text.
        destination: a folder here; made if missing.
        seconds: the deadline of the list of files. Their content has as long as members.SLOWEST gives it.
        on_file: called after each file with its name.

    Returns:
        Fetched: how many files came, how many were here already, and a line for each that was left there.

    Raises:
        ConnectionLost: what has come stays; the next call goes on from there.
        OperationFailed: there is no such folder or name, no room for it, or what comes is not what was asked for.
    """
    destination = as_bytes(destination)
    sources, problems = _sources(connection, folder, names, seconds)
    wanted = {name: source for name, source in sources.items() if not _is_here(os.path.join(destination, name), source)}
    got = set()
    if wanted:
        _check_room(connection.alias, wanted, destination)
        members = Members(connection, folder, {name: source.size for name, source in wanted.items()})
        for name in members:
            if name not in wanted or name in got:
                raise OperationFailed("{}: it sent {}, which nobody asked for".format(connection.alias, text(name)))
            try:
                _store(members.content(name), os.path.join(destination, name), wanted[name].modified)
            except (IOError, OSError) as error:
                raise OperationFailed("{} cannot be written: {}".format(text(name), error.strerror))
            got.add(name)
            on_file(name)
    problems += ["{} is gone or cannot be read".format(text(name)) for name in sorted(set(wanted) - got)]
    return Fetched(len(got), len(sources) - len(wanted), problems)


def unfetched(connection, folder, destinations, seconds):
    """{name: Source} of the files below folder that none of these folders here has as they are there."""
    sources, _ = _sources(connection, folder, (), seconds)
    here = [as_bytes(destination) for destination in destinations]
    return {n: source for n, source in sources.items() if not any(_is_here(os.path.join(base, n), source) for base in here)}


def _sources(connection, folder, names, seconds):
    """({name: Source}, [a line for each that is refused])."""
    starts = ["./{}".format(name) for name in names] or ["."]
    records = connection.output(shell.within_folder(folder, _LIST.format(shell.join(starts))), seconds).split(b"\0")
    if len(records) > MOST_FILES:
        line = "{}: it has more than {} files and folders to fetch; name some of the runs"
        raise OperationFailed(line.format(connection.alias, MOST_FILES))
    sources, problems = {}, []
    for record in records[:-1]:
        kind, size, modified, path = (record.split(b" ", 3) + 3 * [b""])[:4]
        name = path[2:]
        if kind == b"d":
            continue
        source = _source(size, modified)
        if not path.startswith(b"./") or not is_inside(name):
            problems.append("{} is refused: it leads out of the folder".format(text(path)))
        elif kind != b"f":
            problems.append("{} is refused: it is {}".format(text(name), KINDS.get(kind, "no file")))
        elif not is_printable(name):
            problems.append("{} is refused: its name has control characters".format(text(name)))
        elif source is None:
            line = "{} is refused: no file has {} bytes and the time {}"
            problems.append(line.format(text(name), text(size[:40]), text(modified[:40])))
        else:
            sources[name] = source
    return sources, problems


def _source(size, modified):
    """The Source that a host tells; None if no file can be so."""
    if not size.isdigit() or len(size) > 18:
        return None
    try:
        moment = float(modified)
    except ValueError:
        return None
    return Source(int(size), moment) if 0 <= moment < LATEST else None


def _is_here(path, source):
    try:
        found = os.lstat(path)
    except OSError:
        return False
    return found.st_size == source.size and abs(found.st_mtime - source.modified) < SAME_TIME


def _check_room(alias, wanted, destination):
    """Raises OperationFailed if the disk lacks room for what is wanted."""
    try:
        if not os.path.isdir(destination):
            os.makedirs(destination)
        disk = os.statvfs(destination)
    except OSError as error:
        raise OperationFailed("{} cannot be written: {}".format(text(destination), error.strerror))
    needed = sum((source.size // DISK_BLOCK + 2) * DISK_BLOCK for source in wanted.values())
    free = disk.f_bavail * disk.f_frsize
    if needed > free - SPARE:
        line = "{}: it lists {:.0f} MB to fetch; of the {:.0f} MB that are free here, {:.0f} are kept; name some of the runs"
        raise OperationFailed(line.format(alias, needed / 1e6, free / 1e6, SPARE / 1e6))


def _store(blocks, path, modified):
    """Writes a file beside its place, and moves it there when it is whole."""
    folder = os.path.dirname(path)
    if not os.path.isdir(folder):
        os.makedirs(folder)
    part = os.path.join(folder, ".fetch-{}".format(os.getpid()).encode("ascii"))
    try:
        with io.open(part, "wb") as target:
            for block in blocks:
                target.write(block)
        os.utime(part, (modified, modified))
        os.rename(part, path)
    finally:
        if os.path.lexists(part):
            os.remove(part)
