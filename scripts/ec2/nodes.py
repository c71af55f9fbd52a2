"""What is done to every host again and again: push and run."""

from __future__ import absolute_import, print_function, unicode_literals

import fnmatch
import os

import cluster
import push
import shell
import tree
from errors import OperationFailed, RequestError
from waiting import progress

PROJECT = tree.as_text(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))


def add_run_arguments(parser):
    parser.add_argument(
        "--on", default="all", metavar="HOSTS", help="all, ps, workers, or aliases such as worker1,worker7 (default: all)"
    )
    parser.set_defaults(behind=[])


def run(settings, arguments):
    """Runs a command on hosts, in the project's folder there (in the home folder before there is one), and shows what they
    print. One word behind -- is a line of bash, several are a command and its arguments.

    example: python scripts/ec2 run --config configs/clusters/example.json --on workers -- 'uptime; df -h /'"""
    if not arguments.behind:
        raise RequestError("no command; give one behind --, as in: run --config FILE -- uptime")
    return run_on(settings, cluster.hosts_of(settings), arguments.on, arguments.behind)


def push_code(settings, arguments):
    """Brings the project's files to every host: what git tracks, and new files that it does not ignore; only what differs
    travels. What an earlier push brought and is gone here is deleted there; runs/, .venv/ and .cluster/ are never touched.

    example: python scripts/ec2 push --config configs/clusters/example.json"""
    return cluster.report(push_to(settings, cluster.hosts_of(settings)))


def run_on(settings, hosts, on, words):
    """Runs the command on the hosts that `on` names; returns the exit status."""
    chosen = hosts._replace(nodes=select(hosts.nodes, on))
    command = words[0] if len(words) == 1 else shell.join(words)
    command = "cd {} 2>/dev/null; {}".format(shell.quote(settings.node.directory), command)

    def work(connection, node):
        status = cluster.follow(connection, command, settings.deadlines.command)
        if status != 0:
            raise OperationFailed("{}: exit status {}".format(node.alias, status))

    _, failures = cluster.visit(chosen, work, settings.deadlines.command)
    return cluster.report(failures)


def select(nodes, on):
    """The nodes that "all", "ps", "workers" or aliases with commas between (and * and ?) name.

    Raises:
        RequestError: a word names none.
    """
    chosen = set()
    for word in on.split(","):
        pattern = {"all": "*", "workers": "worker*"}.get(word, word)
        matching = [node.alias for node in nodes if fnmatch.fnmatchcase(node.alias, pattern)]
        if not matching:
            raise RequestError("--on: no running host is called {}; there are {}".format(word, ", ".join(n.alias for n in nodes)))
        chosen.update(matching)
    return [node for node in nodes if node.alias in chosen]


def push_to(settings, hosts, project=PROJECT, also=()):
    """Brings the project to the hosts, and says what went; returns the failures."""
    entries = tree.project(project, also)
    progress("{} files to compare on {} hosts".format(len(entries), len(hosts.nodes)))

    def work(connection, node):
        push_entries(connection, settings, entries)

    return cluster.visit(hosts, work, settings.deadlines.setup)[1]


def push_entries(connection, settings, entries, manifest="pushed", what=""):
    """Brings the entries to one host, and says what went."""
    sent = push.push(connection, entries, settings.node.directory, manifest, settings.deadlines.setup)
    line = "{}: sent {} files{} ({:.3f} MB)".format(connection.alias, sent.files, what, sent.size / 1e6)
    progress(line + (", deleted {}".format(sent.deleted) if sent.deleted else ""))
