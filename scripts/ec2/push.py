"""Makes a folder of a host equal to a tree of files here, by sending what differs and deleting what an earlier push brought.

The host's own files are looked at each time, so the next push mends one that broke off, and what someone changed there.
"""

from __future__ import absolute_import, print_function, unicode_literals

import collections
import re

import archive
import shell
import tree
from errors import OperationFailed
from waiting import clock, progress

PROGRESS_SECONDS = 20.0

# Standard input: names, NUL behind each. Output: those of the manifest, an empty one, then for each name that exists its kind,
# mode and target of a link, and for each file its SHA-256.
_LOOK = (
    "cat {manifest} 2>/dev/null; printf '\\0'; "
    """xargs -0 -r bash -c 'find "$@" -maxdepth 0 -printf "%y%m %p\\0%l\\0"; """
    """find "$@" -maxdepth 0 -type f -exec sha256sum -z -- {{}} +' find 2>/dev/null || true"""
)
_DELETE = "xargs -0 -r rm -f --"
_DELETE_FOLDERS = "xargs -0 -r rmdir --ignore-fail-on-non-empty -- 2>/dev/null || true"
_DIGEST = re.compile(r"([0-9a-f]{64})  \./(.*)\Z".encode("ascii"), re.DOTALL)

Sent = collections.namedtuple("Sent", "files size deleted")


def push(connection, entries, directory, manifest, seconds):
    """Sends what differs; returns Sent.

    Args:
        connection: a remote.Connection.
        entries: {name: tree.Entry}, names relative to the directory.
        directory: the folder on the host; made if missing.
        manifest: the name, in its .cluster, of the list of what was sent.
        seconds: the deadline of each of the commands that this takes.

    Raises:
        OperationFailed.
    """
    manifest = ".cluster/" + manifest
    before, found = _look(connection, entries, directory, manifest, seconds)
    gone = sorted(name for name in before - set(entries) if _is_deletable(name))
    different = {name: entry for name, entry in entries.items() if found.get(name) != entry.identity}
    after = set(entries)
    if gone:
        connection.output(shell.within_folder(directory, _DELETE), seconds, send=[_list(gone)])
        folders = _folders(gone) - _folders(after)
        deepest_first = sorted(folders, key=lambda name: (-name.count(b"/"), name))
        connection.output(shell.within_folder(directory, _DELETE_FOLDERS), seconds, send=[_list(deepest_first)])
    if different or after != before:
        # Broken off in the middle, the list names at least what was sent; so the next push can delete it.
        blocks = _with_progress(connection.alias, _archive(different, manifest, before | after, after), different)
        connection.output(shell.within_folder(directory, archive.EXTRACT), seconds, send=blocks)
    return Sent(len(different), sum(entry.size for entry in different.values()), len(gone))


def _look(connection, entries, directory, manifest, seconds):
    """(names in the manifest, {name: identity of what the host has})."""
    make = "mkdir -p {0} && mkdir -p -m 700 {0}/.cluster || exit; ".format(shell.quote(directory))
    look = shell.within_folder(directory, _LOOK.format(manifest=manifest))
    answer = connection.output(make + look, seconds, send=[_list(b"./" + name for name in sorted(entries))])
    try:
        return _understood(answer.split(b"\0"))
    except (ValueError, KeyError, StopIteration):
        raise OperationFailed("{}: what it says of its files makes no sense".format(connection.alias))


def _understood(records):
    """What _look returns; ValueError, KeyError or StopIteration if it is not what _LOOK prints."""
    end = records.index(b"")
    before, records, found = set(records[:end]), iter(records[end + 1 : -1]), {}
    for record in records:
        digest = _DIGEST.match(record)
        if digest:
            name = digest.group(2)
            found[name] = found[name][:2] + (digest.group(1),)
        else:
            kind_and_mode, _, name = record.partition(b" ./")
            kind, mode = kind_and_mode[:1], int(kind_and_mode[1:], 8)
            target = next(records)
            found[name] = (kind, target) if kind == b"l" else (kind, bool(mode & 0o100))
    return before, found


def _archive(entries, manifest, at_first, at_last):
    first, last = [archive.of_bytes(manifest.encode("ascii"), _list(sorted(names))) for names in (at_first, at_last)]
    for part in (first, archive.of_entries(entries), last):
        for block in part:
            yield block
    yield archive.END


def _with_progress(alias, blocks, entries):
    total, sent, said_at = sum(entry.size for entry in entries.values()), 0, clock()
    for block in blocks:
        yield block
        sent += len(block)
        if clock() - said_at > PROGRESS_SECONDS:
            progress("{}: sent {:.0f} of {:.0f} MB".format(alias, sent / 1e6, total / 1e6))
            said_at = clock()


def _is_deletable(name):
    """Whether a name from the host's list may be deleted there: inside the folder, and not of the host's own."""
    own = tree.KEPT if not name.startswith(b".cluster/wheels/") else ()
    return tree.is_inside(name) and name.split(b"/")[0] not in own


def _folders(names):
    folders = set()
    for name in names:
        parts = name.split(b"/")
        folders.update(b"/".join(parts[:depth]) for depth in range(1, len(parts)))
    return folders


def _list(names):
    return b"".join(name + b"\0" for name in names)
