"""One set of versions for all hosts: the lock, which the first setup makes on the parameter server and every later one obeys.

It is in the cluster's folder on this machine (state.py), where it outlives the parameter server: a later host gets what the
others have.
"""

from __future__ import absolute_import, print_function, unicode_literals

import io
import os
import re

import parallel
import shell
from archive import END, EXTRACT, of_bytes
from errors import OperationFailed, RequestError
from waiting import progress

ON_HOSTS = ".cluster/requirements.lock"
MOST_BYTES = 1 << 20
# As scripts/lib/lock.sh writes it: what a host says goes to all others.
_LINE = re.compile(r"#[ -~]*\Z|[A-Za-z0-9._]+==[A-Za-z0-9._+!]+ --hash=sha256:[0-9a-f]{64}\Z")


def of_cluster(settings, state):
    """The lock as bytes: that of node.lock, which becomes the cluster's, or the one that is here; None before the first setup.

    Raises:
        RequestError: node.lock cannot be read.
    """
    if settings.node.lock is not None:
        path = os.path.expanduser(settings.node.lock)
        try:
            with io.open(path, "rb") as stream:
                content = stream.read()
        except (IOError, OSError) as error:
            raise RequestError("node.lock: {}: {}".format(path, error.strerror))
        state.write_lock(content)
    return state.read_lock()


def put(connection, settings, lock):
    """Makes it the host's lock, or takes the host's own away if there is none yet."""
    if lock is None:
        command, blocks = "rm -f {}".format(ON_HOSTS), None
    else:
        command, blocks = EXTRACT, of_bytes(ON_HOSTS.encode("ascii"), lock) + [END]
    connection.output(shell.within_folder(settings.node.directory, command), settings.deadlines.command, send=blocks)


def learn(connection, settings, state):
    """Keeps the lock that the parameter server's installation has made; returns it.

    Raises:
        OperationFailed: it is no lock.
    """
    command = "head -c {} {}".format(MOST_BYTES, ON_HOSTS)
    content = connection.output(shell.within_folder(settings.node.directory, command), settings.deadlines.command)
    lines = content.decode("ascii", "replace").splitlines()
    if not lines or not all(_LINE.match(line) for line in lines):
        raise OperationFailed("{}: {} is not what install_node.sh writes".format(connection.alias, ON_HOSTS))
    state.write_lock(content)
    progress("the versions of all hosts are now in {}".format(state.requirements_lock))
    return content


def send(connection, settings, nodes):
    """Has the parameter server send its packages to the nodes; returns the failures by alias."""
    words = ["bash", "scripts/node/send_locked.sh", settings.node.directory] + [node.private_address for node in nodes]
    rounds = -(-len(nodes) // parallel.AT_ONCE)
    answer = connection.output(shell.within_folder(settings.node.directory, shell.join(words)), rounds * settings.deadlines.setup)
    said = dict(line.partition(" ")[::2] for line in answer.decode("utf-8", "replace").splitlines())
    failed = {node.alias: said[node.private_address] for node in nodes if node.private_address in said}
    return {alias: OperationFailed("{}: the parameter server {}".format(alias, line)) for alias, line in failed.items()}
