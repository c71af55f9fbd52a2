"""python scripts/ec2 COMMAND --config FILE: launches a cluster on EC2, trains on it, and deletes it. Python 2.7 or 3."""

from __future__ import absolute_import, print_function, unicode_literals

import argparse
import collections
import inspect
import os
import sys
import textwrap

import console
import install
import job
import listing
import nodes
import provision
import results
import sequence
import settings
import teardown
from errors import LauncherError
from waiting import progress

INTERRUPTED = 130  # as a shell reports Ctrl-C

Command = collections.namedtuple("Command", "name add_arguments run help")

# One line a command. run(settings, arguments) returns the exit status; add_arguments may be None.
COMMANDS = (
    Command("launch", provision.add_launch_arguments, provision.launch, "start what is missing of the cluster"),
    Command("status", listing.add_status_arguments, listing.status, "every slot, its state, and the price an hour"),
    Command("list-running", None, listing.list_running, "this cluster's running instances, and what each has cost"),
    Command("list-idle", None, listing.list_idle, "what is paid for and not in use, of any cluster in the region"),
    Command("hosts", listing.add_hosts_arguments, listing.hosts, "write the files hosts, hosts_alias and hosts_address"),
    Command("setup", install.add_setup_arguments, install.setup, "make the hosts ready for training"),
    Command("push", None, nodes.push_code, "bring the code to every host; only what differs travels"),
    Command("run", nodes.add_run_arguments, nodes.run, "run a command on the hosts"),
    Command("train", job.add_train_arguments, job.train, "push, and start the training job"),
    Command("logs", job.add_logs_arguments, job.logs, "follow the job's log"),
    Command("fetch", results.add_fetch_arguments, results.fetch_runs, "bring the results here"),
    Command("stop-job", None, job.stop_job, "end the job, with a checkpoint"),
    Command(
        "clean-launch-and-train",
        sequence.add_clean_launch_and_train_arguments,
        sequence.clean_launch_and_train,
        "terminate, launch, setup and train in one go",
    ),
    Command("stop", teardown.add_stop_arguments, teardown.stop, "stop on-demand instances; their disks stay"),
    Command("terminate", teardown.add_terminate_arguments, teardown.terminate, "delete all of the cluster for good"),
)

# The names that these commands had in the published launcher, and what they mean here.
ALIASES = {
    "clean_launch_and_run": ["clean-launch-and-train"],
    "get_hosts": ["hosts"],
    "kill_all_python": ["stop-job"],
    "kill_python": ["stop-job"],
    "list_idle_instances": ["list-idle"],
    "list_running_instances": ["list-running"],
    "run_command": ["run"],
    "setup_nfs": ["setup", "--only-mount"],
    "shutdown": ["terminate"],
}

DESCRIPTION = """\
Launches a cluster on EC2, trains on it, and cleans up after it. One file describes the cluster;
configs/clusters/example.json is one to copy. Every command may be run again: it does what is left to do."""

EPILOG = """\
example, from nothing to results to nothing:
  python scripts/ec2 launch    --config configs/clusters/example.json
  python scripts/ec2 setup     --config configs/clusters/example.json
  python scripts/ec2 train     --config configs/clusters/example.json --follow
  python scripts/ec2 fetch     --config configs/clusters/example.json
  python scripts/ec2 terminate --config configs/clusters/example.json

{}
exit status: 0 done, 1 something failed, 2 the request was wrong"""


def parser():
    older = "older names: " + ", ".join("{} = {}".format(name, " ".join(words)) for name, words in sorted(ALIASES.items()))
    whole = argparse.ArgumentParser(
        prog="python scripts/ec2",
        description=DESCRIPTION,
        epilog=EPILOG.format(textwrap.fill(older, 100, break_on_hyphens=False)),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = whole.add_subparsers(dest="command", metavar="COMMAND")
    for command in COMMANDS:
        part = commands.add_parser(
            command.name,
            help=command.help,
            description=inspect.cleandoc(command.run.__doc__ or command.help),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        part.add_argument("--config", required=True, metavar="FILE", help="the cluster, such as configs/clusters/example.json")
        if command.add_arguments is not None:
            command.add_arguments(part)
        part.set_defaults(run=command.run)
    return whole


def _split(words):
    """What stands before the first -- and what behind it, which argparse cannot tell apart in every place."""
    if "--" not in words:
        return words, []
    at = words.index("--")
    return words[:at], words[at + 1 :]


def main(words):
    """Runs one command line; returns its exit status."""
    if words and words[0] in ALIASES:
        words = ALIASES[words[0]] + words[1:]
    whole = parser()
    if not words:
        whole.print_help(sys.stderr)
        return 2
    words, behind = _split(words)
    arguments = whole.parse_args(words)
    if behind and not hasattr(arguments, "behind"):
        whole.error("{} takes nothing behind --".format(arguments.command))
    arguments.behind = behind
    try:
        return arguments.run(settings.read(arguments.config), arguments)
    except LauncherError as error:
        progress("{}: {}".format(arguments.command, error.args[0]))
        return error.status
    except KeyboardInterrupt:
        progress("{}: interrupted; the same command goes on where this one stopped".format(arguments.command))
        return INTERRUPTED


if __name__ == "__main__":
    console.use_utf8()
    status = main(console.words_of(sys.argv[1:]))
    if status == INTERRUPTED:  # at a normal exit, threads that still wait for an answer would print errors
        sys.stdout.flush()
        os._exit(status)
    sys.exit(status)
