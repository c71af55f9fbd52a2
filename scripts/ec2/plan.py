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
        else:
            kind, market, now = instance.type, instance.market, "{} {}".format(instance.id, instance.state)
        price = cost.slot(kind, market, instance.zone if instance else place.zone, own.disk_gib, settings.address == "public")
        hours.append(price)
        if instance is None or instance.state not in slots.RUNNING:
            added.append(price)
        rows.append((alias_of(index), kind, market, "{} GiB".format(own.disk_gib), prices.per_hour(price), now))
    new, whole = prices.total(added), prices.total(hours)
    sums = "in all {}, of which {} is new; {}".format(prices.per_hour(whole), prices.per_hour(new), prices.ON_TOP)
    return "\n".join([table(("ALIAS", "TYPE", "MARKET", "DISK", "PRICE", "NOW"), rows), sums, _limits(settings, whole)]), new


def _limits(settings, price):
    """When hosts end by themselves, and what the cluster can cost until then."""
    ends = []
    if settings.max_hours:
        ends.append("{} h after its start (max_hours)".format(settings.max_hours))
    if settings.idle_minutes:
        ends.append("after {} min without use (idle_minutes)".format(settings.idle_minutes))
    if not ends:
        return "no host ends by itself: max_hours and idle_minutes are null"
    line = "every host ends by itself " + " or ".join(ends)
    if settings.max_hours and price is not None:
        line += ", so after {} at the most".format(prices.spent(price, settings.max_hours))
    if request.at_shutdown(settings, 0) == "stop":
        return line + ";\nthat stops ps, whose disk stays, and deletes workers"
    return line + ";\nthat deletes all of it, with the results"


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
