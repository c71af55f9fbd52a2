"""Several commands in one."""

from __future__ import absolute_import, print_function, unicode_literals

import install
import job
import nodes
import prices
import provision
import teardown
from instances import Ec2
from waiting import progress

STEPS = (
    ("terminate", teardown.terminate),
    ("launch", provision.launch),
    ("setup", install.setup),
    ("train", job.train),
)


def add_clean_launch_and_train_arguments(parser):
    parser.add_argument("--yes", action="store_true", help="ask neither before deleting nor before launching, for scripts")
    job.add_train_arguments(parser)
    parser.set_defaults(dry_run=False, only_mount=False, id=[])


def clean_launch_and_train(settings, arguments):
    """Deletes what there is of the cluster, with its disks and results, after asking; then launches it anew, sets it up, pushes
    the code and starts the job. What stands behind -- goes to `byzshield train`.

    example: python scripts/ec2 clean-launch-and-train --config configs/clusters/example.json --follow"""
    job.name_in(nodes.PROJECT, arguments.run_file or settings.job.run_file, must_exist=not arguments.no_push)
    ec2 = Ec2(settings)
    provision.what_it_takes(ec2, prices.Prices(ec2), [])
    for number, (name, step) in enumerate(STEPS):
        progress("-- {}".format(name))
        status = None
        try:
            status = step(settings, arguments)
        finally:
            if status != 0:
                left = ", then ".join(name for name, _ in STEPS[number:])
                progress("stopped in {}; to go on from there: {}; `terminate` ends what is paid for".format(name, left))
        if status != 0:
            return status
    return 0
