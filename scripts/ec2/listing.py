"""What there is, and what it costs: status, list-running, list-idle, hosts."""

from __future__ import absolute_import, print_function, unicode_literals

import json

import hostfile
import ownership
import prices
import provision
import slots
import use
from console import table
from hostfile import alias_of
from instances import Ec2
from state import State
from waiting import progress


def add_hosts_arguments(parser):
    parser.add_argument("--output", default=".", metavar="DIR", help="folder for the three files (default: the current one)")


def hosts(settings, arguments):
    """Writes hosts (private address, tab, alias), hosts_alias, and hosts_address (MPI's hostfile), parameter server first,
    and prints their paths.

    example: python scripts/ec2 hosts --config configs/clusters/example.json --output /tmp"""
    for path in hostfile.write(provision.cluster_hosts(settings), arguments.output):
        print(path)
    return 0


def add_status_arguments(parser):
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")


def status(settings, arguments):
    """Shows every slot of the cluster: its instance, state, addresses, age and use, and what the cluster costs an hour. The
    surplus are instances of this cluster that hold no slot. Since when a host is not used, its job's files say, over ssh.

    example: python scripts/ec2 status --config configs/clusters/example.json"""
    ec2 = Ec2(settings)
    cost = prices.Prices(ec2)
    found = slots.of_cluster(ec2)
    known = _uses(settings, found)
    rows = [_row(cost, alias_of(index), index, instance, known) for index, instance in found.held.items()]
    surplus = [_row(cost, "surplus", instance.index, instance, {}) for instance in found.surplus]
    total = prices.total(row["price_per_hour"] for row in rows + surplus)
    if arguments.json:
        document = {
            "cluster": settings.name,
            "region": settings.region,
            "price_per_hour": total,
            "slots": rows,
            "surplus": surplus,
        }
        print(json.dumps(document, indent=2, sort_keys=True))
        return 0
    columns = ("alias", "instance_id", "type", "market", "state", "public_address", "private_address")
    lines = [[row[column] for column in columns] + [_age(row["age_hours"]), row["use"]] for row in rows + surplus]
    print(table([column.upper().replace("_", " ") for column in columns] + ["AGE", "USE"], lines))
    living = [instance.owner for instance in list(found.held.values()) + found.surplus if instance]
    for owner in ownership.strangers(ec2, State(settings.name), living):
        progress("not yours: {}".format(ownership.words(owner)))
    print("{} {}".format(prices.per_hour(total), "" if not total else "({})".format(prices.ON_TOP)).rstrip())
    return 0


def list_running(settings, arguments):
    """Lists this cluster's running instances: type, age, address, and what each has cost since its launch.

    example: python scripts/ec2 list-running --config configs/clusters/example.json"""
    ec2 = Ec2(settings)
    cost = prices.Prices(ec2)
    running = slots.in_order(i for i in ec2.instances(settings.name) if i.state in slots.RUNNING)
    rows = []
    for instance in running:
        price, age = cost.of(instance), prices.hours_since(instance.launched)
        address = instance.public_address or instance.private_address
        what = (alias_of(instance.index), instance.id, instance.type, instance.market)
        rows.append(what + (_age(age), address, prices.spent(price, age)))
    print(table(("ALIAS", "INSTANCE", "TYPE", "MARKET", "AGE", "ADDRESS", "COST SO FAR"), rows))
    return 0


def list_idle(settings, arguments):
    """Lists what is paid for and not in use: instances of any byzshield cluster in the region that this configuration has no
    slot for (another cluster's, or more workers than are configured now), stopped ones, whose disks are still paid for, and hosts
    of this cluster that nobody has used for ten minutes: its job's files say so, over ssh.

    example: python scripts/ec2 list-idle --config configs/clusters/example.json"""
    ec2 = Ec2(settings)
    cost = prices.Prices(ec2)
    found = slots.of_cluster(ec2)
    known = _uses(settings, found)
    silent = {alias for alias, known_use in known.items() if known_use.seconds >= use.IDLE_SECONDS}
    held = [i for i in found.held.values() if i and i.state in slots.RUNNING]
    used = {i.id for i in held if alias_of(i.index) not in silent}
    idle = slots.in_order(i for i in ec2.instances() if i.id not in used and i.state not in slots.GONE)
    rows = []
    for instance in idle:
        age = _age(prices.hours_since(instance.launched))
        what = (instance.cluster, alias_of(instance.index), instance.id, instance.type, instance.state, age)
        said = known.get(alias_of(instance.index)) if instance in held else None
        rows.append(what + (use.words(said) if said else None, instance.owner.name, prices.per_hour(cost.of(instance))))
    print(table(("CLUSTER", "ALIAS", "INSTANCE", "TYPE", "STATE", "AGE", "USE", "OWNER", "COSTS"), rows))
    return 0


def _uses(settings, found):
    """{alias: Use} of the slots that run and answer; of the others, a line says why not."""
    hosts = slots.running_hosts(found)
    provision.remember_hosts(settings, hosts)
    known = use.of_hosts(settings, hosts)
    for line in sorted({line for line in known.values() if not isinstance(line, use.Use)}):
        progress("use unknown: {}".format(line))
    return {alias: value for alias, value in known.items() if isinstance(value, use.Use)}


def _row(cost, alias, index, instance, known):
    if instance is None:
        names = "instance_id type market public_address private_address age_hours use unused_seconds job_running owner id"
        return dict(dict.fromkeys(names.split()), alias=alias, index=index, state="missing", price_per_hour=0.0)
    said = known.get(alias)
    return {
        "use": use.words(said) if instance.state == "running" else None,
        "unused_seconds": said and said.seconds,
        "job_running": said and said.job,
        "owner": instance.owner.name,
        "id": instance.owner.id,
        "alias": alias,
        "index": index,
        "instance_id": instance.id,
        "type": instance.type,
        "market": instance.market,
        "state": instance.state,
        "public_address": instance.public_address,
        "private_address": instance.private_address,
        "age_hours": prices.hours_since(instance.launched),
        "price_per_hour": cost.of(instance),
    }


def _age(hours):
    return None if hours is None else use.duration(3600 * hours)
