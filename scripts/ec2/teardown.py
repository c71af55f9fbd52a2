"""terminate and stop: whatever carries the cluster's tag, and nothing else."""

from __future__ import absolute_import, print_function, unicode_literals

import collections

import adoption
import firewall
import keys
import losses
import ownership
import prices
import slots
from console import confirm, table
from errors import RequestError
from hostfile import alias_of
from instances import Ec2, Ec2Error, owner
from state import State
from waiting import Deadline, progress, wait_until_nothing_is_missing

Leftovers = collections.namedtuple("Leftovers", "instances spot_requests key_pairs groups owners")


def add_terminate_arguments(parser):
    parser.add_argument("--dry-run", action="store_true", help="print what would be deleted, and touch nothing")
    _add_consent(parser)


def add_stop_arguments(parser):
    parser.add_argument("--delete-spot", action="store_true", help="delete spot instances, which cannot be stopped")
    _add_consent(parser)


def _add_consent(parser):
    parser.add_argument("--yes", action="store_true", help="do not ask, for scripts")
    parser.add_argument("--id", action="append", default=[], metavar="ID", help="also what somebody else launched, with this id")


def terminate(settings, arguments):
    """Deletes all of the cluster for good: instances in any state with their disks, open spot requests, key pair, security
    group, and at last the keys on this machine. Says what it costs now and which results were not fetched, and asks. What someone
    else launched under this name is shown with its owner and id, and stays unless --id names it. Running it again finishes
    what an earlier run left.

    example: python scripts/ec2 terminate --config configs/clusters/example.json"""
    ec2, state = Ec2(settings), State(settings.name)
    found = _leftovers(ec2, state)
    if not found.owners:
        if state.exists():
            with state.locked():
                state.remove()
        progress("nothing is left of the cluster {} in {}".format(settings.name, settings.region))
        return 0
    print(_describe(found, prices.Prices(ec2)))
    for line in losses.of_server(settings, slots.assign(found.instances, settings.workers.count)):
        progress(line)
    strangers = _strangers(ec2, state, found.owners, arguments)
    if arguments.dry_run:
        progress("nothing was touched (--dry-run)")
        return 0
    ownership.refuse(ec2, strangers, "nothing was touched; --id with that id deletes it, too")
    confirm("Delete all this, with the disks?", arguments.yes)
    with state.locked():
        _delete(ec2, found, Deadline(settings.deadlines.launch))
        state.remove()
    progress("nothing is left of the cluster {} in {}".format(settings.name, settings.region))
    return 0


def stop(settings, arguments):
    """Stops the cluster's on-demand instances, after asking: their disks stay, and only those are paid for; `launch` starts them
    again, under other public addresses. A training job ends with it: `stop-job` first lets it store a checkpoint. Spot
    instances cannot be stopped: while there are any nothing is touched, unless --delete-spot says that they may go with their
    disks, which hold no results if the server is on demand.

    example: python scripts/ec2 stop --config configs/clusters/example.json --delete-spot"""
    ec2, state = Ec2(settings), State(settings.name)
    living = [instance for instance in ec2.instances(settings.name) if instance.state not in slots.GONE]
    spot = [instance for instance in living if instance.market == "spot"]
    running = [instance for instance in living if instance not in spot and instance.state in slots.RUNNING]
    _refuse_to_stop(ec2, state, living, spot, arguments)
    if not running and not spot and all(instance.state == "stopped" for instance in living):
        progress("no instance of the cluster {} runs; disks are still paid for until `terminate`".format(settings.name))
        return 0
    if running or spot:
        print(_table(running + spot, prices.Prices(ec2))[0])
        for line in losses.of_server(settings, slots.assign(living, settings.workers.count)):
            progress(line)
        words = [(running, "stop {} on-demand instances, whose disks stay"), (spot, "delete {} spot instances, with their disks")]
        question = " and ".join(line.format(len(some)) for some, line in words if some)
        confirm("About to {}. Go on?".format(question), arguments.yes)
    with state.locked():
        if running:
            ec2.call("stop_instances", InstanceIds=[instance.id for instance in running])
        if spot:
            ec2.call("terminate_instances", InstanceIds=[instance.id for instance in spot])

        def missing():
            states = [i for i in ec2.instances(settings.name) if i.state not in ("stopped", "terminated")]
            return ", ".join("{} {}".format(i.id, i.state) for i in states)

        wait_until_nothing_is_missing(missing, Deadline(settings.deadlines.launch), "instances stopped", "run stop again")
    progress("no instance of the cluster {} runs; disks are still paid for until `terminate`".format(settings.name))
    return 0


def _refuse_to_stop(ec2, state, living, spot, arguments):
    """Raises RequestError, before anything is touched, if not all of the cluster can and may be stopped."""
    strangers = _strangers(ec2, state, [instance.owner for instance in living], arguments)
    ownership.refuse(ec2, strangers, "nothing was touched; --id with that id stops it, too")
    if any(instance.index == 0 for instance in spot):
        raise RequestError(
            "ps is a spot instance and cannot be stopped; nothing was touched: `fetch` the results and `terminate`"
        )
    if spot and not arguments.delete_spot:
        line = "spot instances cannot be stopped: {}; nothing was touched: --delete-spot deletes them, and stops the others"
        raise RequestError(line.format(", ".join(alias_of(instance.index) or instance.id for instance in slots.in_order(spot))))


def _leftovers(ec2, state):
    name = ec2.settings.name
    instances = [i for i in adoption.all_instances(ec2, state, undecided=True) if i.cluster == name and i.state != "terminated"]
    undone = {"Name": "state", "Values": ["open", "active"]}
    requests = ec2.tagged("describe_spot_instance_requests", "SpotInstanceRequests", undone)
    pairs, groups = keys.key_pairs(ec2), firewall.groups(ec2)
    return Leftovers(
        instances,
        [request["SpotInstanceRequestId"] for request in requests],
        [pair["KeyName"] for pair in pairs],
        [group["GroupId"] for group in groups],
        [instance.owner for instance in instances] + [owner(item) for item in requests + pairs + groups],
    )


def _strangers(ec2, state, owners, arguments):
    """The Owners that neither are this caller's nor are named by --id; all that are not this caller's are shown."""
    found = ownership.strangers(ec2, state, owners)
    for stranger in found:
        progress("not yours: {}".format(ownership.words(stranger)))
    return [stranger for stranger in found if stranger.id not in arguments.id]


def _describe(found, cost):
    lines = []
    if found.instances:
        rows, hour, spent = _table(found.instances, cost)
        lines = [rows]
    for kind, names in (("spot request", found.spot_requests), ("key pair", found.key_pairs), ("security group", found.groups)):
        lines.extend("{} {}".format(kind, name) for name in names)
    if found.instances:
        spent = prices.spent(spent, 1) or "an unknown sum"
        lines.append("now {}, and about {} since the launch; {}".format(prices.per_hour(hour), spent, prices.ON_TOP))
    return "\n".join(lines)


def _table(instances, cost):
    """(a row for each of the instances, what they cost an hour, what they have cost)."""
    rows, hours, sums = [], [], []
    for instance in slots.in_order(instances):
        price, age = cost.of(instance), prices.hours_since(instance.launched)
        hours.append(price)
        sums.append(None if price is None else price * age)
        what = (alias_of(instance.index), instance.id, instance.type, instance.market)
        rows.append(what + (instance.state, prices.per_hour(price)))
    head = ("ALIAS", "INSTANCE", "TYPE", "MARKET", "STATE", "PRICE")
    return table(head, rows), prices.total(hours), prices.total(sums)


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
