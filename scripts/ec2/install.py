"""Makes hosts nodes that can train."""

from __future__ import absolute_import, print_function, unicode_literals

import os
import re

import cluster
import hostfile
import shell
import tree
import versions
from archive import END, EXTRACT, of_bytes
from errors import OperationFailed, RequestError
from nodes import PROJECT, push_entries
from request import limits
from state import State
from waiting import progress

WHEELS = ".cluster/wheels"
_PUBLIC_KEY = re.compile("ssh-ed25519 [A-Za-z0-9+/]{1,200}=*( [^\x00-\x1f\x7f]{0,200})?\n\\Z".encode("ascii"))
RENEW = """\
if [[ ! -e /etc/byzshield-host-limits ]]; then echo none; exit; fi
as_root=()
((EUID == 0)) || as_root=(sudo -n)
"${as_root[@]}" bash scripts/node/host_limits.sh set """


def add_setup_arguments(parser):
    parser.add_argument("--only-mount", action="store_true", help="nothing but the mount of file_system")


def setup(settings, arguments):
    """Makes every host ready for training: waits for ssh, pushes the code, runs scripts/install_node.sh on the parameter server,
    lets it log in to the workers, has it send them its packages, and runs install_node.sh there. All hosts get the same versions,
    those of the first setup. Safe to repeat; a host that failed catches up.

    example: python scripts/ec2 setup --config configs/clusters/example.json"""
    return set_up(settings, cluster.hosts_of(settings), arguments.only_mount)


def set_up(settings, hosts, only_mount, project=PROJECT):
    """Makes the hosts nodes; returns the exit status."""
    if only_mount and settings.file_system is None:
        raise RequestError("the cluster's file has no file_system to mount")
    entries, files = tree.project(project), _cluster_files(hosts)
    state = State(settings.name)
    lock = None if only_mount else versions.of_cluster(settings, state)

    def bring(connection, node):
        push_entries(connection, settings, entries)
        connection.output(shell.within_folder(settings.node.directory, EXTRACT), settings.deadlines.command, send=[files])
        if only_mount:
            _install(connection, node, settings, only_mount)

    # A few commands on each host, each with that deadline.
    ready, failures = cluster.visit(hosts, bring, 4 * settings.deadlines.setup, booting=settings.deadlines.ssh)
    if not only_mount:
        reached = hosts._replace(nodes=[node for node in hosts.nodes if node.alias in ready])
        failures += _make_alike(settings, reached, state, lock)
    if not failures:
        progress("{} hosts are ready".format(len(hosts.nodes)))
    return cluster.report(failures)


def _make_alike(settings, hosts, state, lock):
    """Gives all hosts what the lock lists, the parameter server first; returns the failures."""
    wheels, seconds = settings.node.wheels, 4 * settings.deadlines.setup
    wheels = {} if wheels is None else tree.folder(os.path.expanduser(wheels), WHEELS.encode("ascii"))

    def install_first(connection, node):
        if wheels:
            push_entries(connection, settings, wheels, "pushed_wheels", " of wheels")
        versions.put(connection, settings, lock)
        _install(connection, node, settings)
        return versions.learn(connection, settings, state) if lock is None else lock

    def install(connection, node):
        versions.put(connection, settings, known["ps"])
        _install(connection, node, settings)

    server = hosts._replace(nodes=[node for node in hosts.nodes if node.alias == "ps"])
    known, failures = cluster.visit(server, install_first, seconds)
    if "ps" not in known:
        return failures + [OperationFailed("ps: it is not ready, and the others follow it; mend it and repeat setup")]
    let_in, more = _exchange_keys(settings, hosts)
    failures += more
    workers = [node for node in hosts.nodes if node.alias in let_in]
    if workers:
        sent, more = cluster.visit(server, lambda connection, _: versions.send(connection, settings, workers), seconds)
        failures += more
        for missed in sent.values():
            failures += missed.values()
            alike = hosts._replace(nodes=[node for node in workers if node.alias not in missed])
            failures += cluster.visit(alike, install, seconds)[1]
    return failures


def _install(connection, node, settings, only_mount=False):
    progress("{}: installing".format(node.alias))
    status = cluster.follow(
        connection, _install_command(settings, only_mount, node.alias == "ps"), settings.deadlines.setup, only_error=True
    )
    if status != 0:
        raise OperationFailed("{}: scripts/install_node.sh ended with status {}; its message is above".format(node.alias, status))
    progress("{}: installed".format(node.alias))
    if not only_mount:
        _renew_limits(connection, settings)


def _cluster_files(hosts):
    """.cluster/hosts, hosts_alias, hosts_address and known_hosts, as an archive."""
    blocks = []
    for name, text in hostfile.contents(hosts.nodes).items():
        blocks += of_bytes(".cluster/{}".format(name).encode("ascii"), text.encode("utf-8"))
    blocks += of_bytes(b".cluster/known_hosts", hosts.access.known_hosts_content())
    return b"".join(blocks) + END


def _install_command(settings, only_mount, is_first):
    node, system = settings.node, settings.file_system
    words = ["bash", "scripts/install_node.sh"]
    if only_mount:
        words.append("--only-mount")
    else:
        words += ["--packages", " ".join(node.packages), "--python", node.python, "--requirements", node.requirements]
        if node.torch_index is not None:
            words += ["--torch-index", node.torch_index]
        if node.wheels is not None and is_first:
            words += ["--wheels", WHEELS]
    if system is not None:
        words += ["--mount-source", system.source, "--mount-point", system.mount_point]
        words += ["--mount-type", system.type, "--mount-options", system.options]
    return shell.within_folder(node.directory, shell.join(words))


def _renew_limits(connection, settings):
    """Tells the host the limits of now; those of its launch may be others."""
    command = shell.within_folder(settings.node.directory, RENEW + shell.join(limits(settings)))
    if connection.output(command, settings.deadlines.command):
        progress("{}: does not end by itself: it was not launched with max_hours and idle_minutes".format(connection.alias))


def _exchange_keys(settings, hosts):
    """Lets the parameter server, the first of the hosts, log in to the others.

    Returns:
        ({alias: None} of those that let it in, [LauncherError]).
    """
    directory, seconds = settings.node.directory, settings.deadlines.command
    server = hosts._replace(nodes=hosts.nodes[:1])
    make = shell.join(["bash", "scripts/node/cluster_key.sh", "make", "--port", "{}".format(server.nodes[0].port)])

    def make_key(connection, node):
        key = connection.output(shell.within_folder(directory, make), seconds)
        if not _PUBLIC_KEY.match(key):
            raise OperationFailed("ps: what it made is no public key; no worker lets it in")
        return key

    made, failures = cluster.visit(server, make_key, seconds)
    if failures:
        return {}, failures
    authorize = shell.join(["bash", "scripts/node/cluster_key.sh", "authorize", "--from", server.nodes[0].private_address])

    def let_in(connection, node):
        connection.output(shell.within_folder(directory, authorize), seconds, send=[made["ps"]])
        progress("{}: lets the parameter server in".format(node.alias))

    return cluster.visit(hosts._replace(nodes=hosts.nodes[1:]), let_in, seconds)
