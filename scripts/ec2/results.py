"""The results of a cluster's jobs: fetch."""

from __future__ import absolute_import, print_function, unicode_literals

import os
import re

import cluster
import nodes
import tree
from booting import connect
from errors import RequestError
from execution import ConnectionLost
from fetch import fetch
from state import State
from waiting import Deadline, progress

ATTEMPTS = 5  # connections in a row that may break without a single new file
MOST_PROBLEMS = 100  # lines about files that were left there


def add_fetch_arguments(parser):
    parser.add_argument("names", nargs="*", metavar="NAME", help="a run: what is in runs/NAME there (default: all runs)")
    parser.add_argument("--output", metavar="DIR", help="where the runs go (default: runs/ of this project)")


def fetch_runs(settings, arguments):
    """Brings runs/ from the parameter server, only what is new or has changed; after an interruption it goes on where it was.

    example: python scripts/ec2 fetch --config configs/clusters/example.json quickstart"""
    output = arguments.output or os.path.join(nodes.PROJECT, "runs")
    return fetch_to(settings, cluster.hosts_of(settings), arguments.names, output)


def fetch_to(settings, hosts, names, output):
    """Brings the runs to the folder `output`; returns the exit status."""
    for name in names:
        if not re.match(r"[^/\0]+\Z", name) or name in (".", ".."):
            raise RequestError("{}: not the name of a run, which is a folder in runs/".format(name))
    server, folder = cluster.server(hosts), settings.node.directory + "/runs"
    came, broken = set(), 0  # names of the files; connections in a row that brought none that had not come before
    while True:
        before = len(came)
        try:
            deadline = Deadline(settings.deadlines.ssh if came else cluster.ANSWER_SECONDS)
            with connect(hosts.access, server, deadline) as connection:
                fetched = fetch(connection, folder, names, output, settings.deadlines.command, came.add)
            break
        except ConnectionLost as error:
            broken = 1 if len(came) > before else broken + 1
            if broken == ATTEMPTS:
                raise
            progress("{}; connecting again".format(error))
    State(settings.name).remember_fetched_to(os.path.abspath(output))
    return report(fetched, came, output)


def report(fetched, came, output):
    """Says what came and what did not; the exit status.

    Args:
        fetched: what the last call of fetch returned.
        came: the names of the files that have come, in this call and those before it.
        output: the folder.
    """
    size = sum(os.path.getsize(os.path.join(tree.as_bytes(output), name)) for name in came)
    line = "{} files fetched ({:.3f} MB) to {}, {} were there already"
    progress(line.format(len(came), size / 1e6, output, fetched.present - (len(came) - fetched.files)))
    for problem in fetched.problems[:MOST_PROBLEMS]:
        progress("failed: {}".format(problem))
    if len(fetched.problems) > MOST_PROBLEMS:
        progress("failed: {} more".format(len(fetched.problems) - MOST_PROBLEMS))
    return 1 if fetched.problems else 0
