"""What an hour costs, with disk and public address: from AWS where it answers, else from the configuration, else unknown."""

from __future__ import absolute_import, print_function, unicode_literals

import collections
import datetime
import json
import time

import slots
from errors import LauncherError
from instances import CLUSTER_TAG
from waiting import progress

ON_TOP = "traffic comes on top"
# Unless the configuration says otherwise, those of us-east-1: a GiB of gp3 a month, a public IPv4 address an hour.
GP3, ADDRESS = 0.08, 0.005
HOURS_A_MONTH = 730


class Prices(object):
    """USD an hour; each is asked for once."""

    def __init__(self, ec2):
        self._ec2 = ec2
        self._spot = {}
        self._on_demand = {}
        self._list_answers = True
        self._disks = None

    def slot(self, instance_type, market, zone, disk_gib, has_address):
        """USD an hour of an instance that runs, with its disk and its public address, or None if its price is not known."""
        own = self.hour(instance_type, market, zone)
        if own is None:
            return None
        return own + self.disk(disk_gib) + (self._ec2.settings.prices.get("address", ADDRESS) if has_address else 0.0)

    def disk(self, gib):
        """USD an hour of a disk, whether its instance runs or is stopped."""
        return gib * self._ec2.settings.prices.get("gp3", GP3) / HOURS_A_MONTH

    def hour(self, instance_type, market, zone=None):
        """USD an hour, or None if no price is known."""
        if market == "spot":
            price = self.spot(instance_type).get(zone)
            if price is not None:
                return price  # else the on-demand price: a spot instance never costs more unless max_price says so
        if instance_type not in self._on_demand:
            self._on_demand[instance_type] = self._listed(instance_type) or self._ec2.settings.prices.get(instance_type)
        return self._on_demand[instance_type]

    def spot(self, instance_type):
        """{zone: USD an hour} as of now."""
        if instance_type not in self._spot:
            try:
                history = self._ec2.call_all(
                    "describe_spot_price_history",
                    "SpotPriceHistory",
                    InstanceTypes=[instance_type],
                    ProductDescriptions=["Linux/UNIX"],
                    StartTime=int(time.time()),
                )
            except LauncherError as error:
                progress("no spot prices: {}".format(error.args[0]))
                history = []
            newest = {}
            for item in sorted(history, key=lambda item: item["Timestamp"]):
                newest[item["AvailabilityZone"]] = float(item["SpotPrice"])
            self._spot[instance_type] = newest
        return self._spot[instance_type]

    def of(self, instance):
        """USD an hour that an instance costs now: once it is stopped, its disk alone."""
        if instance.state in slots.GONE:
            return 0.0
        gib = self._disk_of(instance.id)
        if instance.state not in slots.RUNNING:
            return self.disk(gib)
        return self.slot(instance.type, instance.market, instance.zone, gib, instance.public_address)

    def _disk_of(self, instance_id):
        """GiB of the instance's disks, which carry the tags of their cluster."""
        if self._disks is None:
            self._disks = collections.Counter()
            try:
                tagged = [{"Name": "tag-key", "Values": [CLUSTER_TAG]}]
                disks = self._ec2.call_all("describe_volumes", "Volumes", Filters=tagged)
            except LauncherError as error:
                progress("prices are without disks: {}".format(error.args[0]))
                disks = []
            for disk in disks:
                for attachment in disk["Attachments"]:
                    self._disks[attachment["InstanceId"]] += disk["Size"]
        return self._disks[instance_id]

    def _listed(self, instance_type):
        if not self._list_answers:
            return None
        wanted = {
            "instanceType": instance_type,
            "regionCode": self._ec2.settings.region,
            "operatingSystem": "Linux",
            "preInstalledSw": "NA",
            "tenancy": "Shared",
            "capacitystatus": "Used",
        }
        filters = [{"Type": "TERM_MATCH", "Field": field, "Value": value} for field, value in sorted(wanted.items())]
        try:
            answer = self._ec2.call(
                "get_products", service="pricing", region="us-east-1", optional=True, ServiceCode="AmazonEC2", Filters=filters
            )
        except LauncherError:  # the configuration's prices serve instead, and it is not asked again
            self._list_answers = False
            return None
        return cheapest_on_demand(answer["PriceList"])


def cheapest_on_demand(products):
    """The lowest price above 0 in items of AWS's price list (each a JSON text), or None."""
    found = []
    for product in products:
        for term in json.loads(product).get("terms", {}).get("OnDemand", {}).values():
            found.extend(float(dimension["pricePerUnit"].get("USD", 0)) for dimension in term["priceDimensions"].values())
    return min([price for price in found if price > 0] or [None])


def total(prices):
    """The sum, or None if one of them is unknown."""
    prices = list(prices)
    return None if None in prices else sum(prices)


def hours_since(moment):
    return max(0.0, (datetime.datetime.now(moment.tzinfo) - moment).total_seconds() / 3600)


def per_hour(price):
    return "price unknown" if price is None else "{:.4f} USD/h".format(price)


def spent(price, hours):
    return None if price is None else "{:.2f} USD".format(price * hours)
