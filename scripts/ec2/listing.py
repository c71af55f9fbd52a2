"""What there is, and what it costs: status, list-running, list-idle, hosts."""

from __future__ import absolute_import, print_function, unicode_literals

import json

import hostfile
import prices
import provision
import slots
from console import table
from hostfile import alias_of
from instances import Ec2


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
    """Shows every slot of the cluster: its instance, state, addresses and age, and what the cluster costs an hour. The surplus
    are instances of this cluster that hold no slot.

    example: python scripts/ec2 status --config configs/clusters/example.json"""
    ec2 = Ec2(settings)
    cost = prices.Prices(ec2)
    found = slots.of_cluster(ec2)
    rows = [_row(cost, alias_of(index), index, instance) for index, instance in found.held.items()]
    surplus = [_row(cost, "surplus", instance.index, instance) for instance in found.surplus]
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
    lines = [[row[column] for column in columns] + [_age(row["age_hours"])] for row in rows + surplus]
    print(table([column.upper().replace("_", " ") for column in columns] + ["AGE"], lines))
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
    slot for (another cluster's, or more workers than are configured now), and stopped ones, whose disks are still paid for.
    Whether a running instance of this cluster computes, EC2 does not know; `logs` does.

    example: python scripts/ec2 list-idle --config configs/clusters/example.json"""
    ec2 = Ec2(settings)
    cost = prices.Prices(ec2)
    used = {i.id for i in slots.of_cluster(ec2).held.values() if i and i.state in slots.RUNNING}
    idle = slots.in_order(i for i in ec2.instances() if i.id not in used and i.state not in slots.GONE)
    rows = []
    for instance in idle:
        age = _age(prices.hours_since(instance.launched))
        price = prices.per_hour(cost.of(instance)) if instance.state in slots.RUNNING else "its disk"
        rows.append((instance.cluster, alias_of(instance.index), instance.id, instance.type, instance.state, age, price))
    print(table(("CLUSTER", "ALIAS", "INSTANCE", "TYPE", "STATE", "AGE", "COSTS"), rows))
    return 0


def _row(cost, alias, index, instance):
    if instance is None:
        row = dict.fromkeys(("instance_id", "type", "market", "public_address", "private_address", "age_hours"))
        return dict(row, alias=alias, index=index, state="missing", price_per_hour=0.0)
    return {
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
    if hours is None:
        return None
    return (
        "{:.0f} min".format(60 * hours)
        if hours < 2
        else "{:.0f} h".format(hours)
        if hours < 72
        else "{:.0f} days".format(hours / 24)
    )
