"""What is lost with the parameter server's disk: results that were not fetched, and a job that runs."""

from __future__ import absolute_import, print_function, unicode_literals

import collections
import os

import cluster
import fetch
import nodes
import provision
import shell
import slots
import use
from errors import LauncherError
from state import State
from tree import text

MOST_NAMED = 5
UNKNOWN = "what was not fetched is not known: {}"


def of_server(settings, found):
    """Lines about what goes with the server of these Slots."""
    server = found.held[0]
    if server is None:
        return []
    if server.state not in slots.RUNNING:
        line = "ps is {}: whether all of its results were fetched is not known; `launch` starts it again, and `fetch` brings them"
        return [line.format(server.state)]
    hosts = slots.running_hosts(found)[:1]
    if not settings.deadlines.look:
        return [UNKNOWN.format(use.NOT_ASKED)]
    try:
        provision.remember_hosts(settings, slots.running_hosts(found))
        reached = cluster.hosts_among(settings, hosts)
        with reached.access.connect(cluster.server(reached), settings.deadlines.look) as connection:
            return _of_connection(settings, connection)
    except LauncherError as error:
        return [UNKNOWN.format(error.args[0])]


def _of_connection(settings, connection):
    lines = []
    folder = settings.node.directory + "/runs"
    if _has(settings, connection, settings.node.directory + "/.job") and use.of_connection(settings, connection).job:
        lines.append("a job is running on ps: `stop-job` first lets it store a checkpoint")
    if _has(settings, connection, folder):
        here = State(settings.name).fetched_to() or [os.path.join(nodes.PROJECT, "runs")]
        left = fetch.unfetched(connection, folder, here, settings.deadlines.command)
        if left:
            lines.append("not fetched: {}; `fetch` brings them".format(_summary(left)))
    return lines


def _has(settings, connection, folder):
    running = connection.start("test -d {}".format(shell.quote(folder)), settings.deadlines.look)
    for _ in running:
        pass
    return running.status == 0


def _summary(left):
    """ "3 files (1.2 MB) of quickstart (2), lab (1)"."""
    runs = collections.Counter(name.split(b"/")[0] for name in left)
    named = ["{} ({})".format(text(name), count) for name, count in runs.most_common(MOST_NAMED)]
    named += ["and {} more".format(len(runs) - MOST_NAMED)] if len(runs) > MOST_NAMED else []
    size = sum(source.size for source in left.values()) / 1e6
    return "{} files ({:.3f} MB) of {}".format(len(left), size, ", ".join(named))
