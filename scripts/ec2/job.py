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
from state import State, Trained
from waiting import Deadline, progress

# Of deadlines.job_stop, what stop.sh needs to kill the job once its grace period is over.
TIME_TO_KILL = 20
PASSED_ON = ("ranks_per_host", "ranks", "network", "restarts")  # options of `train` and keys of "job" for train_cluster.sh
DID_NOT_START = "ps: scripts/train_cluster.sh ended with status {}; its message is above"


def add_train_arguments(parser):
    parser.add_argument("run_file", nargs="?", metavar="RUN.toml", help="a file of this project (default: job.run_file)")
    parser.add_argument("--follow", action="store_true", help="show the log until the job has ended")
    parser.add_argument("--no-push", action="store_true", help="take the code and RUN.toml as they are on the hosts")
    number, default = {"type": int, "metavar": "N"}, "(default: job.{} of the cluster's file, or else {})"
    text = "processes on each worker's host " + default.format("ranks_per_host", "its physical cores")
    parser.add_argument("--ranks-per-host", help=text + "; never more in all than there are workers", **number)
    parser.add_argument("--ranks", help="processes in all, in place of that " + default.format("ranks", "none"), **number)
    text = "the network that MPI uses, such as 10.0.0.0/16 " + default.format("network", "what MPI finds")
    parser.add_argument("--network", metavar="CIDR", help=text)
    text = "how often the job starts again after a host has died " + default.format("restarts", "3")
    parser.add_argument("--restarts", help=text, **number)
    parser.set_defaults(behind=[])


def add_logs_arguments(parser):
    parser.add_argument("--no-follow", action="store_true", help="show what is there and exit")


def train(settings, arguments):
    """Pushes the code and starts the training job, which goes on whatever becomes of this machine.
    What stands behind -- goes to `byzshield train`.

    example: python scripts/ec2 train --config configs/clusters/example.json -- --set run.steps=100"""
    hosts = cluster.hosts_of(settings)
    options = [word for name in PASSED_ON for word in _option(name, arguments, settings)]
    start(settings, hosts, arguments.run_file or settings.job.run_file, arguments.behind, not arguments.no_push, options)
    if arguments.follow:
        return follow_log(settings, hosts, True)
    progress("the job goes on without this machine: `logs` follows it, `stop-job` ends it, `fetch` brings its results")
    return 0


def _option(name, arguments, settings):
    """["--ranks", "5"] if the command line or else the cluster's file says so."""
    given = getattr(arguments, name)
    value = getattr(settings.job, name) if given is None else given
    return [] if value is None else ["--" + name.replace("_", "-"), "{}".format(value)]


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


def start(settings, hosts, run_file, flags, push, options=(), project=nodes.PROJECT):
    """Starts the job.

    Args:
        flags: for `byzshield train`.
        options: for scripts/train_cluster.sh.

    Raises:
        RequestError: no such run file; a job is running; or the run was trained before, and its checkpoints are gone.
        OperationFailed: not pushed to every host, or the job did not start.
    """
    name = name_in(project, run_file, must_exist=push)
    _require_no_job(settings, hosts)
    if push and cluster.report(nodes.push_to(settings, hosts, project, also=[tree.as_bytes(name)])):
        raise OperationFailed("not started: every host needs the same code; mend these, or terminate them and launch again")
    flags = list(settings.job.flags) + list(flags)
    trained = _require_checkpoint(settings, hosts, [name] + flags)
    words = ["bash", "scripts/train_cluster.sh", "--detach"] + list(options)
    if settings.job.watch_interruptions and "spot" in (settings.market, settings.server.market):
        words.append("--watch")
    words += [name] + flags
    status = on_server(settings, hosts, shell.join(words), settings.deadlines.command)
    if status != 0:
        raise OperationFailed(DID_NOT_START.format(status))
    State(settings.name).remember_trained(trained)


def _require_no_job(settings, hosts):
    """Raises RequestError if one runs: what it works with must not change."""
    with connect(hosts.access, cluster.server(hosts), Deadline(cluster.ANSWER_SECONDS)) as connection:
        command = shell.within_folder(settings.node.directory, ". scripts/lib/job.sh; job_leader")
        running = connection.start(command, settings.deadlines.command)
        for _ in running:
            pass
    if running.status == 0:
        raise RequestError("a job is running on ps, and nothing was pushed: `logs` follows it, `stop-job` ends it")


def _require_checkpoint(settings, hosts, words):
    """Asks the server about the run that these words of train_cluster.sh mean; returns its State's record of it.

    Raises:
        RequestError: it was trained before, and its checkpoints are not where they were.
    """
    server = cluster.server(hosts)
    command = shell.join(["bash", "scripts/train_cluster.sh", "--dry-run"] + words)
    with connect(hosts.access, server, Deadline(cluster.ANSWER_SECONDS)) as connection:
        said = connection.output(shell.within_folder(settings.node.directory, command), settings.deadlines.command)
    lines = [output.printable(line) for line in said.decode("utf-8", "replace").split("\n")]
    facts = dict(line.split(" ", 1) for line in lines if " " in line)
    run, checkpoint = facts.get("run", ""), facts.get("checkpoint", "none")
    before = State(settings.name).trained().get(run, Trained(run, server.instance_id, "none"))
    was_there = before.checkpoint != "none" or before.instance != server.instance_id
    if was_there and checkpoint == "none" and "--overwrite" not in words:
        line = "{} was trained on {}, and ps ({}) has no checkpoint of it: bring its folder back, or train -- --overwrite"
        raise RequestError(line.format(run, before.instance, server.instance_id))
    return Trained(run, server.instance_id, checkpoint)


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
