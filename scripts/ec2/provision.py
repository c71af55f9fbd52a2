"""Which hosts the cluster has."""

from __future__ import absolute_import, print_function, unicode_literals

import slots
from errors import OperationFailed
from hostfile import alias_of
from instances import Ec2
from state import State
from waiting import progress


def cluster_hosts(settings, whole=False):
    """[Host] of the cluster's running instances, parameter server first, as EC2 names them now; known_hosts follows.

    Args:
        whole: fail, rather than say so, when a slot does not run.

    Raises:
        OperationFailed: nothing runs, or not all that was asked for.
    """
    hosts = slots.running_hosts(slots.of_cluster(Ec2(settings)))
    absent = sorted(set(range(settings.workers.count + 1)) - {host.index for host in hosts})
    advice = "`launch` starts what is missing"
    if not hosts:
        raise OperationFailed("nothing of the cluster {} runs in {}; {}".format(settings.name, settings.region, advice))
    if absent:
        line = "not running: {}; {}".format(", ".join(alias_of(index) for index in absent), advice)
        if whole:
            raise OperationFailed(line)
        progress(line)
    state = State(settings.name)
    if state.exists():
        state.write_known_hosts(hosts, settings.ssh_port)
    return hosts
