"""The hosts of a cluster as ssh sees them, and the same work on many of them."""

from __future__ import absolute_import, print_function, unicode_literals

import collections

import execution
import output
import parallel
import remote
from booting import LOGIN_SECONDS, connect
from errors import OperationFailed
from hostfile import contact_address
from provision import cluster_hosts
from state import State
from waiting import Deadline, progress

# A host that runs answers at once; one that does not must not hold up the others for long.
ANSWER_SECONDS = 10.0

# access: remote.Access; nodes: [remote.Node], parameter server first.
Hosts = collections.namedtuple("Hosts", "access nodes")


def hosts_of(settings):
    """The Hosts of the cluster's running instances.

    Raises:
        OperationFailed: nothing runs.
        RequestError: this machine has no key for it.
    """
    return hosts_among(settings, cluster_hosts(settings))


def hosts_among(settings, running):
    """The Hosts of some [Host], which provision knows.

    Raises:
        OperationFailed: one has no address to reach it by.
        RequestError: this machine has no key for it.
    """
    state = State(settings.name)
    access = remote.Access(settings.ssh_user, state.key, state.known_hosts)
    return Hosts(access, [_node(settings, host) for host in running])


def server(hosts):
    """The parameter server's Node.

    Raises:
        OperationFailed: it does not run.
    """
    if not hosts.nodes or hosts.nodes[0].alias != "ps":
        raise OperationFailed("the parameter server does not run; `launch` starts what is missing")
    return hosts.nodes[0]


def visit(hosts, work, seconds, booting=None):
    """Calls work(connection, node) for each node, with a connection of its own; a node that fails leaves the others alone.

    Args:
        seconds: the longest that the work may take on one node.
        booting: None, or for how many seconds a node may take to answer; then its key may come late, too.

    Returns:
        ({alias: value}, [LauncherError]), both in the order of the nodes.
    """
    answer_seconds = ANSWER_SECONDS if booting is None else booting
    login_seconds = 0.0 if booting is None else LOGIN_SECONDS

    def attempt(node):
        with connect(hosts.access, node, Deadline(answer_seconds), login_seconds) as connection:
            connection.limit(seconds)
            return work(connection, node)

    rounds = -(-len(hosts.nodes) // parallel.AT_ONCE)
    outcomes = parallel.for_each(attempt, hosts.nodes, rounds * (seconds + answer_seconds + 2 * execution.SILENCE_SECONDS))
    values = collections.OrderedDict((outcome.item.alias, outcome.value) for outcome in outcomes if outcome.error is None)
    return values, [outcome.error for outcome in outcomes if outcome.error is not None]


def _node(settings, host):
    address = contact_address(settings, host)
    if address is None:
        line = '{}: it has no {} address; see "address" in the cluster\'s file, or take a subnet that gives one'
        raise OperationFailed(line.format(host.alias, settings.address))
    return remote.Node(host.alias, address, settings.ssh_port, host.private_address, host.instance_id)


def report(failures):
    """One line for each failure; the exit status."""
    for failure in failures:
        progress("failed: {}".format(failure))
    return 1 if failures else 0


def follow(connection, command, seconds, only_error=False, send=None):
    """Runs a command and shows what it prints behind the host's alias; returns its exit status."""
    running = connection.start(command, seconds, send)
    lines = output.Lines(connection.alias, only_error)
    try:
        for is_error, block in running:
            lines.show(is_error, block)
    finally:
        lines.finish()
    return running.status
