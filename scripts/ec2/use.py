"""Which hosts are in use, and since when not, as their own files say (scripts/node/host_use.sh)."""

from __future__ import absolute_import, print_function, unicode_literals

import collections
import re

import cluster
import parallel
import shell
from errors import LauncherError, OperationFailed
from hostfile import contact_address

NOT_ASKED = "deadlines.look is 0"
LONGEST_ANSWER = 100
IDLE_SECONDS = 600.0  # a job that runs writes more often than that, and between two jobs it may take as long

# seconds: since the last use; job: whether the training job runs on that host.
Use = collections.namedtuple("Use", "seconds job")

_ANSWER = re.compile(r"(0|[1-9][0-9]{0,9}) (running|none)\n\Z")


def of_hosts(settings, hosts):
    """{alias: Use, or the line that says why it is not known} of Hosts of provision, after one attempt each."""
    if not settings.deadlines.look:
        return {host.alias: NOT_ASKED for host in hosts}
    found = {host.alias: "it has no address" for host in hosts if not contact_address(settings, host)}
    try:
        reached = cluster.hosts_among(settings, [host for host in hosts if host.alias not in found])
    except LauncherError as error:
        return {host.alias: error.args[0] for host in hosts}
    seconds = (len(reached.nodes) // parallel.AT_ONCE + 1) * 4 * settings.deadlines.look
    for outcome in parallel.for_each(lambda node: of_node(settings, reached.access, node), reached.nodes, seconds):
        found[outcome.item.alias] = outcome.error.args[0] if outcome.error else outcome.value
    return found


def of_node(settings, access, node):
    """The Use of one host.

    Raises:
        OperationFailed: it is not known.
    """
    with access.connect(node, settings.deadlines.look) as connection:
        return of_connection(settings, connection)


def of_connection(settings, connection):
    """As `of_node`, of a host that one is connected to."""
    answer = b""
    command = shell.within_folder(settings.node.directory, "bash scripts/node/host_use.sh")
    running = connection.start(command, settings.deadlines.look)
    for is_error, block in running:
        answer += b"" if is_error else block
        if len(answer) > LONGEST_ANSWER:
            break
    match = _ANSWER.match(answer.decode("ascii", "replace"))
    if match is None:
        raise OperationFailed("{}: it does not say whether it is used; is it set up?".format(connection.alias))
    return Use(int(match.group(1)), match.group(2) == "running")


def words(use):
    """A Use in the words of a table; None is "unknown"."""
    if use is None:
        return "unknown"
    if use.seconds < IDLE_SECONDS:
        return "{}, {:.0f} s ago".format("job" if use.job else "used", use.seconds)
    return "{} {}".format("job silent for" if use.job else "idle for", duration(use.seconds))


def duration(seconds):
    hours = seconds / 3600.0
    return (
        "{:.0f} min".format(60 * hours)
        if hours < 2
        else "{:.0f} h".format(hours)
        if hours < 72
        else "{:.0f} days".format(hours / 24)
    )
