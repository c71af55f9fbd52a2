"""What launch is about to do, and what it costs."""

from __future__ import absolute_import, print_function, unicode_literals

import prices
import request
import slots
from console import table
from hostfile import alias_of


def describe(settings, found, cost, place):
    """(the table of slots and the sum, USD an hour that is new or None)."""
    rows, hours, added = [], [], []
    for index, instance in found.held.items():
        own = request.part(settings, index)
        if instance is None:
            kind, market, now = own.instance_type, request.market(settings, index), "missing: is launched"
            price = cost.hour(kind, market, place.zone)
        else:
            kind, market, price = instance.type, instance.market, cost.hour(instance.type, instance.market, instance.zone)
            now = "{} {}".format(instance.id, instance.state)
        hours.append(price)
        if instance is None or instance.state not in slots.RUNNING:
            added.append(price)
        rows.append((alias_of(index), kind, market, "{} GiB".format(own.disk_gib), prices.per_hour(price), now))
    new = prices.total(added)
    sums = "in all {}, of which {} is new; {}".format(prices.per_hour(prices.total(hours)), prices.per_hour(new), prices.ON_TOP)
    return table(("ALIAS", "TYPE", "MARKET", "DISK", "PRICE", "NOW"), rows) + "\n" + sums, new


def remarks(settings, found):
    """Lines about what does not fit the configuration, and stays as it is."""
    for index, instance in found.held.items():
        own = request.part(settings, index)
        if instance and (instance.type, instance.market) != (own.instance_type, request.market(settings, index)):
            yield "{}: {} stays {} {}, though the configuration has changed; `terminate` to change it".format(
                alias_of(index), instance.id, instance.market, instance.type
            )
    for instance in found.surplus:
        yield "{} ({}) holds no slot and goes on costing; `list-idle` shows it".format(instance.id, instance.state)
