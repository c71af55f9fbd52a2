"""launch: what is missing of the cluster is started, and nothing else is touched. And who the running hosts are."""

from __future__ import absolute_import, print_function, unicode_literals

import firewall
import image as images
import keys
import parallel
import prices
import request
import slots
import subnet
from console import confirm, table
from errors import OperationFailed, RequestError
from hostfile import alias_of
from instances import Ec2
from state import State
from waiting import Deadline, progress, wait_until_nothing_is_missing

AT_ONCE = 4  # EC2 lets an account begin about two instances a second
UNSETTLED_SECONDS = 600.0  # after so long, EC2 shows everything that it was asked for


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


def add_launch_arguments(parser):
    parser.add_argument("--dry-run", action="store_true", help="print the plan and the price, and touch nothing")
    parser.add_argument("--yes", action="store_true", help="do not ask, for scripts")


def launch(settings, arguments):
    """Starts what is missing of the cluster: launches instances for empty slots, starts stopped ones, and lets ssh in from
    this machine's address alone. Prints the plan and what an hour costs, and asks before it costs anything. Running it again,
    also after Ctrl-C or half a failure, fills the slots that are empty then.

    example: python scripts/ec2 launch --config configs/clusters/example.json --dry-run"""
    ec2, state = Ec2(settings), State(settings.name)
    cost = prices.Prices(ec2)
    found = slots.of_cluster(ec2)
    living = [instance for instance in found.held.values() if instance] + found.surplus
    keys.check(ec2, state, living)
    image = images.find(ec2)
    for index in (0, 1):
        if request.part(settings, index).disk_gib < image.smallest_disk_gib:
            name = "server" if index == 0 else "workers"
            raise RequestError("{}.disk_gib must be at least {} for {}".format(name, image.smallest_disk_gib, image.id))
    place = subnet.find(ec2, cost, living)
    source = firewall.caller_network(settings)
    print("cluster {} in {} ({}), image {}, ssh from {} alone".format(settings.name, place.zone, place.subnet, image.id, source))
    plan, added = _plan(settings, found, cost, place)
    print(plan)
    for line in _remarks(settings, found):
        progress(line)
    if arguments.dry_run:
        progress("nothing was touched (--dry-run)")
        return 0
    begin = [index for index, instance in found.held.items() if instance is None]
    wake = [index for index, instance in found.held.items() if instance and instance.state in ("stopping", "stopped")]
    if begin or wake:
        words = " and ".join("{} {}".format(verb, len(some)) for verb, some in (("launch", begin), ("start", wake)) if some)
        confirm("About to {} instances for {}. Go on?".format(words, prices.per_hour(added)), arguments.yes)
    with state.locked():
        key_name = keys.ensure(ec2, state)
        group = firewall.ensure(ec2, place.vpc, source)
        deadline = Deadline(settings.deadlines.launch)
        found = _adopt(ec2, state)
        begin = [index for index, instance in found.held.items() if instance is None]
        identities = {index: instance.id for index, instance in found.held.items() if instance}

        def fill(index):
            if index in identities:
                _start(ec2, identities[index], deadline)
                return identities[index]
            identity = request.launch(ec2, state, index, image, place, group, key_name)
            progress("{}: {} is launched".format(alias_of(index), identity))
            return identity

        outcomes = parallel.for_each(fill, begin + wake, settings.deadlines.launch, AT_ONCE)
        failed = {outcome.item: outcome.error.args[0] for outcome in outcomes if outcome.error}
        identities.update({outcome.item: outcome.value for outcome in outcomes if not outcome.error})
        failed.update(_wait_until_running(ec2, {i: identity for i, identity in identities.items() if i not in failed}, deadline))
        hosts = slots.running_hosts(slots.of_cluster(ec2))
        state.write_known_hosts(hosts, settings.ssh_port)
    for host in hosts:
        print("{}\t{}\t{}\t{}".format(host.alias, host.instance_id, host.private_address, host.public_address or "-"))
    for index, line in sorted(failed.items()):
        progress("{}: {}".format(alias_of(index), line))
    if failed:
        progress("{} of {} slots failed; `launch` again fills them".format(len(failed), settings.workers.count + 1))
        return 1
    progress("all run; next: python scripts/ec2 setup --config {}".format(arguments.config))
    return 0


def _plan(settings, found, cost, place):
    rows, hours, added = [], [], []
    for index, instance in found.held.items():
        own = request.part(settings, index)
        if instance is None:
            price, now = cost.hour(own.instance_type, settings.market, place.zone), "missing: is launched"
            kind, market = own.instance_type, settings.market
        else:
            kind, market, price = instance.type, instance.market, cost.hour(instance.type, instance.market, instance.zone)
            now = "{} {}".format(instance.id, instance.state)
        hours.append(price)
        if instance is None or instance.state not in ("pending", "running"):
            added.append(price)
        rows.append((alias_of(index), kind, market, "{} GiB".format(own.disk_gib), prices.per_hour(price), now))
    new = prices.total(added)
    sums = "in all {}, of which {} is new; {}".format(prices.per_hour(prices.total(hours)), prices.per_hour(new), prices.ON_TOP)
    return table(("ALIAS", "TYPE", "MARKET", "DISK", "PRICE", "NOW"), rows) + "\n" + sums, new


def _remarks(settings, found):
    for index, instance in found.held.items():
        own = request.part(settings, index)
        if instance and (instance.type, instance.market) != (own.instance_type, settings.market):
            yield "{}: {} stays {} {}, though the configuration has changed; `terminate` to change it".format(
                alias_of(index), instance.id, instance.market, instance.type
            )
    for instance in found.surplus:
        yield "{} ({}) holds no slot and goes on costing; `list-idle` shows it".format(instance.id, instance.state)


def _adopt(ec2, state):
    """Slots as of now, after what an interrupted launch had begun is settled."""
    everything = ec2.instances(ec2.settings.name)
    by_token = {instance.token: instance for instance in everything if instance.token}
    for index in range(ec2.settings.workers.count + 1):
        token = state.pending_token(index)
        if token in by_token and by_token[token].state not in slots.GONE:
            state.settle_pending(index, by_token[token].id)
        elif token in by_token or (token and state.pending_age(index) > UNSETTLED_SECONDS):
            state.forget_pending(index)
    return slots.assign(everything, ec2.settings.workers.count)


def _start(ec2, identity, deadline):
    def stopping():
        state = ec2.call("describe_instances", InstanceIds=[identity])["Reservations"][0]["Instances"][0]["State"]["Name"]
        return "{} is still stopping".format(identity) if state == "stopping" else ""

    wait_until_nothing_is_missing(stopping, deadline, "starting a stopped instance", "run launch again")
    ec2.call("start_instances", InstanceIds=[identity])
    progress("{} is started".format(identity))


def _wait_until_running(ec2, identities, deadline):
    """{index: line} of those that ended meanwhile; the others run, and have their addresses."""
    ended = {}

    def missing():
        seen = {instance.id: instance for instance in ec2.instances(ec2.settings.name)}
        late = []
        for index, identity in sorted(identities.items()):
            instance = seen.get(identity)
            if instance is not None and instance.state in slots.GONE:
                ended[index] = "{} is {}: {}".format(identity, instance.state, instance.reason or "EC2 gives no reason")
            elif instance is None or instance.state != "running":
                late.append("{} {}".format(alias_of(index), "not visible yet" if instance is None else instance.state))
            elif not (instance.public_address if ec2.settings.address == "public" else instance.private_address):
                late.append("{} without {} address".format(alias_of(index), ec2.settings.address))
        return ", ".join(late)

    advice = "look at `status`, and run launch again"
    wait_until_nothing_is_missing(missing, deadline, "instances running", advice)
    return ended
