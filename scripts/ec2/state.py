"""What this machine knows of a cluster: ~/.byzshield/clusters/NAME, for its owner alone ($BYZSHIELD_HOME replaces ~/.byzshield).

id_ed25519, id_ed25519.pub   the cluster key: who holds it may log in; the private half never leaves this machine
owner                        the cluster's random id and who launched it, one a line, as they stand in its tags
fetched                      the folders on this machine to which its results were fetched, one a line
trained                      each run that was trained: its folder, on which instance, and from which checkpoint it went on then
host_keys/INSTANCE.pub       the host key of each instance, made here before the instance was
known_hosts                  the same, as ssh reads it, under the addresses of now
pending/SLOT/                what was asked of EC2 for a slot and is not known to exist yet: token, host_key, host_key.pub
requirements.lock            the versions of all hosts (versions.py)
lock                         held by the command that changes the cluster
"""

from __future__ import absolute_import, print_function, unicode_literals

import collections
import contextlib
import fcntl
import io
import os
import shutil
import subprocess
import tempfile
import time
import uuid

from errors import OperationFailed, RequestError
from ownership import Owner

# run: its folder; instance: on which it was last started; checkpoint: "step 120" that it went on from then, or "none".
Trained = collections.namedtuple("Trained", "run instance checkpoint")


class State(object):
    """The folder of one cluster. Nothing is made before make() or a method that says so."""

    def __init__(self, name):
        home = os.environ.get("BYZSHIELD_HOME") or os.path.join(os.path.expanduser("~"), ".byzshield")
        self.name = name
        self.folder = os.path.join(home, "clusters", name)
        self.key = os.path.join(self.folder, "id_ed25519")
        self.public_key = self.key + ".pub"
        self.known_hosts = os.path.join(self.folder, "known_hosts")
        self.requirements_lock = os.path.join(self.folder, "requirements.lock")
        self._host_keys = os.path.join(self.folder, "host_keys")
        self._pending = os.path.join(self.folder, "pending")

    def exists(self):
        return os.path.isdir(self.folder)

    def make(self):
        """Makes the folders, readable by their owner alone."""
        for folder in (self.folder, self._host_keys, self._pending):
            if not os.path.isdir(folder):
                os.makedirs(folder, 0o700)
            os.chmod(folder, 0o700)

    def remove(self):
        """Removes the folder and every key in it."""
        if self.exists():
            shutil.rmtree(self.folder)

    @contextlib.contextmanager
    def locked(self):
        """Keeps a second command from changing the cluster meanwhile; makes the folder.

        Raises:
            RequestError: another command holds the lock.
        """
        self.make()
        with io.open(os.path.join(self.folder, "lock"), "w") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except (IOError, OSError):
                raise RequestError("another command is changing the cluster {}; wait for its end".format(self.name))
            yield

    def make_cluster_key(self):
        """Makes the cluster key unless it is here; returns its public half."""
        if not os.path.exists(self.key):
            _generate_key(self.key, "byzshield-{}".format(self.name))
        return _read(self.public_key)

    def cluster_key(self):
        """The public half of the cluster key, or None."""
        return _read(self.public_key) if os.path.exists(self.key) else None

    def make_owner(self, name):
        """The Owner of what this machine launches: a random id, and the name of who launched it first."""
        if self.owner() is None:
            _write(self._path("owner"), "{}\n{}\n".format(uuid.uuid4().hex[:12], name))
        return self.owner()

    def owner(self):
        """The Owner of the cluster, or None if this machine has not launched it."""
        lines = self._lines("owner")
        return Owner(*lines) if len(lines) == 2 else None

    def fetched_to(self):
        """The folders on this machine that have results of the cluster."""
        return self._lines("fetched")

    def remember_fetched_to(self, folder):
        self._remember("fetched", [line for line in self.fetched_to() if line != folder] + [folder])

    def trained(self):
        """{run: Trained} of the jobs that were started from here."""
        found = [Trained(*line.split("\t")) for line in self._lines("trained")]
        return {one.run: one for one in found}

    def remember_trained(self, trained):
        if trained.instance is not None and not any("\t" in value for value in trained):
            runs = self.trained()
            runs[trained.run] = trained
            self._remember("trained", ["\t".join(runs[run]) for run in sorted(runs)])

    def make_pending(self, index):
        """(token, private host key, public host key) for a slot: those of an attempt whose end is unknown, or new ones."""
        folder = self._pending_folder(index)
        token, private, public = (os.path.join(folder, name) for name in ("token", "host_key", "host_key.pub"))
        if not all(os.path.exists(path) for path in (token, private, public)):  # the token comes last: the rest was never used
            self.forget_pending(index)
            os.makedirs(folder, 0o700)
            _generate_key(private, "byzshield-{}-{}".format(self.name, index))
            _write(token, "{}\n".format(uuid.uuid4()))
        return _read(token), _read(private), _read(public)

    def pending(self):
        """The slots with an attempt whose end is unknown."""
        names = os.listdir(self._pending) if os.path.isdir(self._pending) else []
        return sorted(int(name) for name in names if os.path.exists(os.path.join(self._pending, name, "token")))

    def pending_token(self, index):
        return _read(os.path.join(self._pending_folder(index), "token"))

    def pending_age(self, index):
        """Seconds since the pending attempt was prepared."""
        return time.time() - os.path.getmtime(os.path.join(self._pending_folder(index), "token"))

    def settle_pending(self, index, instance_id):
        """The instance exists: keeps the public half of its host key, and deletes the private half."""
        public = os.path.join(self._pending_folder(index), "host_key.pub")
        if os.path.exists(public):  # it is not when an earlier call was cut off after this line
            os.rename(public, os.path.join(self._host_keys, instance_id + ".pub"))
        self.forget_pending(index)

    def forget_pending(self, index):
        if os.path.isdir(self._pending_folder(index)):
            shutil.rmtree(self._pending_folder(index))

    def host_key(self, instance_id):
        """The public host key "ssh-ed25519 AAAA..." of an instance, or None if it was not launched from here."""
        path = os.path.join(self._host_keys, instance_id + ".pub")
        return " ".join(_read(path).split()[:2]) if os.path.exists(path) else None

    def instances_younger_than(self, seconds):
        """Those whose host key was made here so lately."""
        names = os.listdir(self._host_keys) if os.path.isdir(self._host_keys) else []
        made = [(name[: -len(".pub")], os.path.getmtime(os.path.join(self._host_keys, name))) for name in names]
        return sorted(name for name, moment in made if time.time() - moment < seconds)

    def write_known_hosts(self, hosts, port=22):
        """Writes known_hosts for these hosts, each under its alias and its addresses of now."""
        lines = []
        for host in hosts:
            host_key = self.host_key(host.instance_id)
            if host_key:
                names = [name for name in (host.alias, host.private_address, host.public_address) if name]
                if port != 22:
                    names = ["[{}]:{}".format(name, port) for name in names]
                lines.append("{} {}\n".format(",".join(names), host_key))
        _write(self.known_hosts, "".join(lines))

    def _path(self, name):
        return os.path.join(self.folder, name)

    def _lines(self, name):
        return _read(self._path(name)).splitlines() if os.path.exists(self._path(name)) else []

    def _remember(self, name, lines):
        """Nothing is remembered of a cluster that this machine does not have."""
        if self.exists() and not any("\n" in line for line in lines):
            _write(self._path(name), "".join(line + "\n" for line in lines))

    def read_lock(self):
        """The versions of all hosts, as bytes; None before the first setup."""
        if not os.path.exists(self.requirements_lock):
            return None
        with io.open(self.requirements_lock, "rb") as stream:
            return stream.read()

    def write_lock(self, content):
        """Makes these bytes the versions of all hosts."""
        self.make()
        _write_bytes(self.requirements_lock, content)

    def _pending_folder(self, index):
        return os.path.join(self._pending, "{}".format(index))


def _generate_key(path, comment):
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", path]
    try:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    except OSError as error:
        raise RequestError("ssh-keygen cannot be run ({}); install OpenSSH's client".format(error.strerror))
    output, _ = process.communicate()
    if process.returncode != 0:
        raise OperationFailed("ssh-keygen could not make {}: {}".format(path, output.decode("utf-8", "replace").strip()))


def _read(path):
    with io.open(path, encoding="utf-8") as stream:
        return stream.read().strip()


def _write(path, text):
    """At once or not at all, readable by the owner alone."""
    _write_bytes(path, text.encode("utf-8"))


def _write_bytes(path, content):
    descriptor, new = tempfile.mkstemp(dir=os.path.dirname(path))
    with io.open(descriptor, "wb") as stream:
        stream.write(content)
    os.rename(new, path)
