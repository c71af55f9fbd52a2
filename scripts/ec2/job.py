"""The training job of a cluster, on its parameter server: train, logs, stop-job."""

from __future__ import absolute_import, print_function, unicode_literals

import os
import time

import cluster
import nodes
import output
import shell
import tree
from booting import connect
from errors import OperationFailed, RequestError
from execution import ConnectionLost
from waiting import Deadline, progress

# Of deadlines.job_stop, what stop.sh needs to kill the job once its grace period is over.
TIME_TO_KILL = 20


def add_train_arguments(parser):
    parser.add_argument("run_file", nargs="?", metavar="RUN.toml", help="a file of this project (default: job.run_file)")
    parser.add_argument("--follow", action="store_true", help="show the log until the job has ended")
    parser.add_argument("--no-push", action="store_true", help="take the code and RUN.toml as they are on the hosts")
    parser.set_defaults(behind=[])


def add_logs_arguments(parser):
    parser.add_argument("--no-follow", action="store_true", help="show what is there and exit")


def train(settings, arguments):
    """Pushes the code and starts the training job, which goes on whatever becomes of this machine.
    What stands behind -- goes to `byzshield train`.

    example: python scripts/ec2 train --config configs/clusters/example.json -- --set run.steps=100"""
    hosts = cluster.hosts_of(settings)
    start(settings, hosts, arguments.run_file or settings.job.run_file, arguments.behind, not arguments.no_push)
    if arguments.follow:
        return follow_log(settings, hosts, True)
    progress("the job goes on without this machine: `logs` follows it, `stop-job` ends it, `fetch` brings its results")
    return 0


def logs(settings, arguments):
    """Shows the log of the newest job from its beginning, follows it until the job has ended, and exits with its status.
    A connection that breaks is made again, and the log goes on where it stopped. Ctrl-C leaves the job alone.

    example: python scripts/ec2 logs --config configs/clusters/example.json"""
    return follow_log(settings, cluster.hosts_of(settings), not arguments.no_follow)


def stop_job(settings, arguments):
    """Ends the job: the server finishes its step and stores a checkpoint; what is left after deadlines.job_stop is killed.

    example: python scripts/ec2 stop-job --config configs/clusters/example.json"""
    seconds = settings.deadlines.job_stop
    command = ["bash", "scripts/stop.sh", "--grace", "{}".format(max(1, seconds - TIME_TO_KILL))]
    return on_server(settings, cluster.hosts_of(settings), shell.join(command), seconds)


def start(settings, hosts, run_file, flags, push, project=nodes.PROJECT):
    """Starts the job.

    Raises:
        RequestError: no such run file.
        OperationFailed: not pushed to every host, or the job did not start.
    """
    name = name_in(project, run_file, must_exist=push)
    if push and cluster.report(nodes.push_to(settings, hosts, project, also=[tree.as_bytes(name)])):
        raise OperationFailed("not started: every host needs the same code; mend these, or terminate them and launch again")
    words = ["bash", "scripts/train_cluster.sh", "--detach"]
    if settings.job.watch_interruptions and "spot" in (settings.market, settings.server.market):
        words.append("--watch")
    words += [name] + list(settings.job.flags) + list(flags)
    status = on_server(settings, hosts, shell.join(words), settings.deadlines.command)
    if status != 0:
        raise OperationFailed("ps: scripts/train_cluster.sh ended with status {}; its message is above".format(status))


def on_server(settings, hosts, command, seconds):
    """Runs the command in the project's folder on the parameter server, shows what it prints, and returns its exit status."""
    with connect(hosts.access, cluster.server(hosts), Deadline(cluster.ANSWER_SECONDS)) as connection:
        return cluster.follow(connection, shell.within_folder(settings.node.directory, command), seconds)


def follow_log(settings, hosts, follow):
    """Shows the job's log; returns the job's exit status, or 130 after Ctrl-C."""
    server, reached, broken = cluster.server(hosts), 0, None
    lines = output.Lines(None)
    try:
        while True:
            try:
                deadline = broken or Deadline(cluster.ANSWER_SECONDS)
                with connect(hosts.access, server, deadline) as connection:
                    command = ["bash", "scripts/logs.sh", "--from", "{}".format(reached)] + ([] if follow else ["--no-follow"])
                    running = connection.start(shell.within_folder(settings.node.directory, shell.join(command)), None)
                    for is_error, block in running:
                        lines.show(is_error, block)
                        if not is_error:
                            reached, broken = reached + len(block), None
                    return running.status
            except ConnectionLost as error:
                broken = broken or Deadline(settings.deadlines.ssh)
                if broken.passed():
                    raise
                progress("{}; connecting again".format(error))
                time.sleep(1.0)
    except KeyboardInterrupt:
        progress("the job goes on; `logs` shows its log again, `stop-job` ends it")
        return 130
    finally:
        lines.finish()


def name_in(project, path, must_exist):
    """The name of a run file within the project, which is the same on the hosts."""
    found = [base for base in (os.curdir, project) if os.path.isfile(os.path.join(base, path))]
    if not found and must_exist:
        raise RequestError("{}: no such file here; --no-push takes one that only the hosts have".format(path))
    base = os.path.realpath(project)
    name = os.path.relpath(os.path.realpath(os.path.join(found[0] if found else project, path)), base)
    if name.split(os.sep)[0] == os.pardir:
        raise RequestError("{}: not in {}, so no push brings it to the hosts; copy it there".format(path, base))
    return name
