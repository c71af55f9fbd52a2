"""Files on this machine that a host should have, by name: what is in them, and how to tell whether the host's are the same.

Names are bytes with / between folders, on every system and under both Pythons.
"""

from __future__ import absolute_import, print_function, unicode_literals

import collections
import hashlib
import io
import os
import re
import subprocess

from errors import RequestError
from output import printable
from waiting import progress

BLOCK = 1 << 16
# What each host has of its own, and git's folder. (KEPT of scripts/lib/push_host.sh is the same list for the other push.)
KEPT = (b"runs", b".job", b".data", b".venv", b".cluster", b".git")
GENERATED = (b"build", b"dist", b"__pycache__", b".mypy_cache", b".ruff_cache", b".pytest_cache", b".hypothesis")

# How a file with a private key begins. No host gets one. (PRIVATE_KEY of scripts/lib/push_host.sh is the same.)
_PRIVATE_KEY = re.compile(b"-----BEGIN ([A-Z0-9]+ )*PRIVATE KEY-----|PuTTY-User-Key-File-")

# identity: ("f", executable, SHA-256) or ("l", target); equal identities need no sending.
Entry = collections.namedtuple("Entry", "identity path size")


def project(root, also=()):
    """{name: Entry} of what git tracks or would track below root; without git, of every file but the generated ones.

    Args:
        root: the folder, as text.
        also: names that are wanted even if git ignores them.

    Raises:
        RequestError: a link leads out of the tree, or a file cannot be read.
    """
    root = os.path.realpath(as_bytes(root))
    names = _git_names(root) if os.path.exists(os.path.join(root, b".git")) else None
    if names is None:
        names = _names_below(root, KEPT, GENERATED)
    return _entries(root, [name for name in names + list(also) if name.split(b"/")[0] not in KEPT], b"")


def folder(root, prefix):
    """{name: Entry} of every file below root; their names begin with prefix."""
    root = os.path.realpath(as_bytes(root))
    if not os.path.isdir(root):
        raise RequestError("{}: not a folder".format(text(root)))
    return _entries(root, _names_below(root, (), ()), prefix + b"/")


def as_bytes(path):
    return path if isinstance(path, bytes) else path.encode("utf-8", "surrogateescape")


def as_text(path):
    return path.decode("utf-8") if isinstance(path, bytes) else path


def is_inside(name):
    """Whether a name that a host gave stays below the folder to which it is relative."""
    return not any(part in (b"", b".", b"..") for part in name.split(b"/")) and b"\0" not in name


def is_printable(name):
    """Whether a terminal would simply show the name."""
    return name.decode("utf-8", "replace") == text(name)


def text(name):
    """A name as a terminal may show it."""
    return printable(name.decode("utf-8", "replace"))


def _git_names(root):
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        process = subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    except OSError:
        return None
    output, errors = process.communicate()
    if process.returncode != 0:
        lines = errors.decode("utf-8", "replace").splitlines() or ["exit status {}".format(process.returncode)]
        progress("git cannot list the files ({}); taking every file but the generated ones".format(lines[0]))
        return None
    return [name for name in output.split(b"\0") if name]


def _names_below(root, not_at_the_top, nowhere):
    names = []
    for parent, folders, files in os.walk(root):
        skipped = nowhere + not_at_the_top if parent == root else nowhere
        folders[:] = sorted(name for name in folders if name not in skipped)
        links = [name for name in folders if os.path.islink(os.path.join(parent, name))]
        names.extend(os.path.relpath(os.path.join(parent, name), root) for name in sorted(files + links))
    return names


def _entries(root, names, prefix):
    entries = {}
    for name in sorted(set(names)):
        path = os.path.join(root, name)
        if os.path.islink(path):
            entries[prefix + name] = Entry((b"l", _target(root, name)), path, 0)
        elif os.path.isfile(path) and _holds_private_key(path):
            progress("{} holds a private key, and stays here".format(text(name)))
        elif os.path.isfile(path):
            executable = bool(os.stat(path).st_mode & 0o100)
            entries[prefix + name] = Entry((b"f", executable, _sha256(path)), path, os.path.getsize(path))
    return entries


def _target(root, name):
    path = os.path.join(root, name)
    target = os.readlink(path)
    real = os.path.realpath(path)
    if os.path.isabs(target) or not (real + b"/").startswith(root + b"/"):
        line = "{} is a link to {}, which is not below {}; hosts have nothing there"
        raise RequestError(line.format(text(name), text(target), text(root)))
    return target


def _holds_private_key(path):
    return bool(_PRIVATE_KEY.match(next(_blocks(path), b"")))


def _sha256(path):
    digest = hashlib.sha256()
    for block in _blocks(path):
        digest.update(block)
    return digest.hexdigest().encode("ascii")


def _blocks(path):
    try:
        with io.open(path, "rb") as stream:
            for block in iter(lambda: stream.read(BLOCK), b""):
                yield block
    except (IOError, OSError) as error:
        raise RequestError("{}: {}".format(text(path), error.strerror))
