"""terminate and stop: whatever carries the cluster's tag, and nothing else."""

from __future__ import absolute_import, print_function, unicode_literals

import collections

import adoption
import firewall
import keys
import prices
import slots
from console import confirm, table
from errors import RequestError
from hostfile import alias_of
from instances import Ec2, Ec2Error
from state import State
from waiting import Deadline, progress, wait_until_nothing_is_missing

Leftovers = collections.namedtuple("Leftovers", "instances spot_requests key_pairs groups")


def add_terminate_arguments(parser):
    parser.add_argument("--dry-run", action="store_true", help="print what would be deleted, and touch nothing")
    parser.add_argument("--yes", action="store_true", help="do not ask, for scripts")


def terminate(settings, arguments):
    """Deletes all of the cluster for good: instances in any state with their disks, open spot requests, key pair, security
    group, and at last the keys on this machine. Says what it costs now, and asks. Fetch results first. Running it again
    finishes what an earlier run left.

    example: python scripts/ec2 terminate --config configs/clusters/example.json"""
    ec2, state = Ec2(settings), State(settings.name)
    found = _leftovers(ec2, state)
    if not any(found):
        if state.exists():
            with state.locked():
                state.remove()
        progress("nothing is left of the cluster {} in {}".format(settings.name, settings.region))
        return 0
    print(_describe(found, prices.Prices(ec2)))
    if arguments.dry_run:
        progress("nothing was touched (--dry-run)")
        return 0
    confirm("Delete all this, with the disks?", arguments.yes)
    with state.locked():
        _delete(ec2, found, Deadline(settings.deadlines.launch))
        state.remove()
    progress("nothing is left of the cluster {} in {}".format(settings.name, settings.region))
    return 0


def stop(settings, arguments):
    """Stops the cluster's on-demand instances: their disks stay, and only those are paid for; `launch` starts them again, under
    other public addresses. A training job ends with it: `stop-job` first lets it store a checkpoint. Spot instances cannot be
    stopped: fetch the results and terminate.

    example: python scripts/ec2 stop --config configs/clusters/example.json"""
    ec2 = Ec2(settings)
    with State(settings.name).locked():
        living = [instance for instance in ec2.instances(settings.name) if instance.state not in slots.GONE]
        identities = [instance.id for instance in living if instance.market == "on-demand" and instance.state in slots.RUNNING]
        if identities:
            ec2.call("stop_instances", InstanceIds=identities)

        def missing():
            states = [
                i for i in ec2.instances(settings.name) if i.market == "on-demand" and i.state not in slots.GONE + ("stopped",)
            ]
            return ", ".join("{} {}".format(i.id, i.state) for i in states)

        wait_until_nothing_is_missing(missing, Deadline(settings.deadlines.launch), "instances stopped", "run stop again")
    spot = sorted(instance.id for instance in living if instance.market == "spot")
    if spot:
        raise RequestError(
            "spot instances cannot be stopped, and go on costing: {}; `fetch` the results and `terminate`".format(", ".join(spot))
        )
    progress("no on-demand instance of the cluster {} runs; disks are still paid for until `terminate`".format(settings.name))
    return 0


def _leftovers(ec2, state):
    name = ec2.settings.name
    instances = [i for i in adoption.all_instances(ec2, state, undecided=True) if i.cluster == name and i.state != "terminated"]
    undone = {"Name": "state", "Values": ["open", "active"]}
    requests = ec2.tagged("describe_spot_instance_requests", "SpotInstanceRequests", undone)
    return Leftovers(
        instances,
        [request["SpotInstanceRequestId"] for request in requests],
        [pair["KeyName"] for pair in keys.key_pairs(ec2)],
        [group["GroupId"] for group in firewall.groups(ec2)],
    )


def _describe(found, cost):
    rows, hours, sums = [], [], []
    for instance in slots.in_order(found.instances):
        price, age = cost.of(instance), prices.hours_since(instance.launched)
        hours.append(price)
        sums.append(None if price is None else price * age)
        what = (alias_of(instance.index), instance.id, instance.type, instance.market)
        rows.append(what + (instance.state, prices.per_hour(price)))
    lines = [table(("ALIAS", "INSTANCE", "TYPE", "MARKET", "STATE", "PRICE"), rows)] if rows else []
    for kind, names in (("spot request", found.spot_requests), ("key pair", found.key_pairs), ("security group", found.groups)):
        lines.extend("{} {}".format(kind, name) for name in names)
    if rows:
        lines.append(
            "now {}, and about {} since the launch; {}".format(
                prices.per_hour(prices.total(hours)), prices.spent(prices.total(sums), 1) or "an unknown sum", prices.ON_TOP
            )
        )
    return "\n".join(lines)


def _delete(ec2, found, deadline):
    if found.spot_requests:
        ec2.call("cancel_spot_instance_requests", SpotInstanceRequestIds=found.spot_requests)
    identities = {instance.id for instance in found.instances}
    if identities:
        ec2.call("terminate_instances", InstanceIds=sorted(identities))

        def still_there():
            return ", ".join("{} {}".format(i.id, i.state) for i in ec2.instances(ec2.settings.name) if i.state != "terminated")

        wait_until_nothing_is_missing(still_there, deadline, "instances terminated", "run terminate again")
    for group in found.groups:
        wait_until_nothing_is_missing(
            lambda: _delete_group(ec2, group),  # noqa: B023
            deadline,
            "security group deleted",
            "run terminate again; if it stays, something that is not the cluster's uses the group",
        )
    for name in found.key_pairs:
        ec2.call("delete_key_pair", KeyName=name)


def _delete_group(ec2, group):
    try:
        ec2.call("delete_security_group", GroupId=group)
    except Ec2Error as error:
        if error.code == "DependencyViolation":
            return "{} is still in use".format(group)
        if error.code != "InvalidGroup.NotFound":
            raise
    return ""
