"""launch: what is missing of the cluster is started, and nothing else is touched. And who the running hosts are."""

from __future__ import absolute_import, print_function, unicode_literals

import os

import adoption
import firewall
import image as images
import instance_types
import keys
import ownership
import parallel
import plan
import prices
import request
import shell
import slots
import subnet
from console import confirm
from errors import OperationFailed, RequestError
from hostfile import alias_of, contact_address
from instances import Ec2, owner
from state import State
from waiting import Deadline, progress, wait_until_nothing_is_missing

AT_ONCE = 4  # EC2 lets an account launch about two instances a second


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
    remember_hosts(settings, hosts)
    return hosts


def remember_hosts(settings, hosts):
    """Writes known_hosts for hosts that run, if this machine has the cluster."""
    state = State(settings.name)
    if state.exists():
        state.write_known_hosts(hosts, settings.ssh_port)


def add_launch_arguments(parser):
    parser.add_argument("--dry-run", action="store_true", help="print the plan and the price, and touch nothing")
    parser.add_argument("--yes", action="store_true", help="do not ask, for scripts")


def launch(settings, arguments):
    """Starts what is missing of the cluster: launches instances for empty slots, starts stopped ones, and lets ssh in from
    ssh_from alone (by default, this machine's address). Prints the plan and what an hour costs, and asks before it costs
    anything. Running it again, also after Ctrl-C or half a failure, fills the slots that are empty then.

    example: python scripts/ec2 launch --config configs/clusters/example.json --dry-run"""
    ec2, state = Ec2(settings), State(settings.name)
    cost = prices.Prices(ec2)
    found = slots.assign(adoption.all_instances(ec2, state, undecided=False), settings.workers.count)
    living = [instance for instance in found.held.values() if instance] + found.surplus
    pairs = keys.key_pairs(ec2)
    owners = [instance.owner for instance in living] + [owner(item) for item in pairs + firewall.groups(ec2)]
    ownership.refuse(ec2, ownership.strangers(ec2, state, owners), 'choose another "name"')
    keys.check(ec2, state, living, pairs)
    image, place, source = what_it_takes(ec2, cost, living)
    print("cluster {} in {} ({}), image {}, ssh from {} alone".format(settings.name, place.zone, place.subnet, image.id, source))
    table, added = plan.describe(settings, found, cost, place)
    print(table)
    for line in plan.remarks(settings, found):
        progress(line)
    if arguments.dry_run:
        progress("nothing was touched (--dry-run)")
        return 0
    empty = [index for index, instance in found.held.items() if instance is None]
    stopped = [index for index, instance in found.held.items() if instance and instance.state in slots.STOPPED]
    if empty or stopped:
        words = " and ".join("{} {}".format(verb, len(some)) for verb, some in (("launch", empty), ("start", stopped)) if some)
        confirm("About to {} instances for {}. Go on?".format(words, prices.per_hour(added)), arguments.yes)
    with state.locked():
        ec2.owner = state.owner() or state.make_owner(ownership.caller(ec2))
        failed = _fill(ec2, state, empty + stopped, image, place, source)
        hosts = slots.running_hosts(slots.of_cluster(ec2))
        state.write_known_hosts(hosts, settings.ssh_port)
    for host in hosts:
        print("{}\t{}\t{}\t{}".format(host.alias, host.instance_id, host.private_address, host.public_address or "-"))
    for index, line in sorted(failed.items()):
        progress("{}: {}".format(alias_of(index), line))
    if failed:
        progress(
            "{} of {} slots failed; `launch` again fills them, `terminate` ends what is paid for".format(
                len(failed), settings.workers.count + 1
            )
        )
        return 1
    progress("all run; next: {}".format(shell.join(["python", "scripts/ec2", "setup", "--config", arguments.config])))
    return 0


def what_it_takes(ec2, cost, living):
    """(Image, Place, network that ssh comes from) for launch.

    Raises:
        LauncherError: the configuration asks for what there is not.
    """
    settings = ec2.settings
    _require_files(settings)
    image = images.find(ec2)
    instance_types.check(ec2, image)
    for name, part in (("server", settings.server), ("workers", settings.workers)):
        if part.disk_gib < image.smallest_disk_gib:
            raise RequestError("{}.disk_gib must be at least {} for {}".format(name, image.smallest_disk_gib, image.id))
    return image, subnet.find(ec2, cost, living), firewall.caller_network(settings)


def _require_files(settings):
    """Refuses to launch what `setup` could not set up, before it costs anything."""
    node = settings.node
    for key, path, there in (("lock", node.lock, os.path.isfile), ("wheels", node.wheels, os.path.isdir)):
        if path is not None and not there(os.path.expanduser(path)):
            raise RequestError("node.{}: there is no {} on this machine, and `setup` needs it".format(key, path))


def _fill(ec2, state, approved, image, place, source):
    """Brings instances to these slots, and waits until all of the cluster's run; {index: line} of the slots that do not."""
    settings = ec2.settings
    key_name = keys.ensure(ec2, state)
    group = firewall.ensure(ec2, place.vpc, source)
    deadline = Deadline(settings.deadlines.launch)
    held = slots.assign(adoption.settle(ec2, state), settings.workers.count).held

    def fill(index):
        if held[index] is None:
            identity = request.launch(ec2, state, index, image, place, group, key_name)
            progress("{}: {} is launched".format(alias_of(index), identity))
            return identity
        if held[index].state in slots.STOPPED:
            _start(ec2, held[index].id, deadline)
        return held[index].id

    outcomes = parallel.for_each(fill, approved, settings.deadlines.launch, AT_ONCE)
    failed = {outcome.item: outcome.error.args[0] for outcome in outcomes if outcome.error}
    expected = {index: instance.id for index, instance in held.items() if instance and index not in failed}
    expected.update({outcome.item: outcome.value for outcome in outcomes if not outcome.error})
    failed.update(_wait_until_running(ec2, expected, deadline))
    return failed


def _start(ec2, identity, deadline):
    def stopping():
        state = ec2.call("describe_instances", InstanceIds=[identity])["Reservations"][0]["Instances"][0]["State"]["Name"]
        return "{} is still stopping".format(identity) if state == "stopping" else ""

    wait_until_nothing_is_missing(stopping, deadline, "starting a stopped instance", "run launch again")
    ec2.call("start_instances", InstanceIds=[identity])
    progress("{} is started".format(identity))


def _wait_until_running(ec2, identities, deadline):
    """{index: line} of those that ended meanwhile or are late; the others run, and have their addresses."""
    ended, late = {}, {}

    def missing():
        late.clear()
        seen = {instance.id: instance for instance in ec2.instances(ec2.settings.name)}
        for index, identity in identities.items():
            instance = seen.get(identity)
            if instance is None:
                late[index] = "not visible yet"
            elif instance.state in slots.GONE:
                ended[index] = "{} is {}: {}".format(identity, instance.state, instance.reason or "EC2 gives no reason")
            elif instance.state != "running":
                late[index] = instance.state
            elif not contact_address(ec2.settings, instance):
                late[index] = "without {} address".format(ec2.settings.address)
        return ", ".join("{} {}".format(alias_of(index), late[index]) for index in sorted(late))

    try:
        wait_until_nothing_is_missing(missing, deadline, "instances running", "look at `status`")
    except OperationFailed as error:
        progress(error.args[0])
    late.update(ended)
    return late
