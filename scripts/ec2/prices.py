"""What an hour costs: from AWS where it answers, else from the configuration, else unknown."""

from __future__ import absolute_import, print_function, unicode_literals

import datetime
import json
import time

import slots
from errors import LauncherError
from waiting import progress

ON_TOP = "disks, public addresses and traffic come on top"


class Prices(object):
    """USD an hour of an instance; each is asked for once."""

    def __init__(self, ec2):
        self._ec2 = ec2
        self._spot = {}
        self._on_demand = {}
        self._list_answers = True

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
        """USD an hour that an instance costs now: nothing once it is stopped."""
        if instance.state not in slots.RUNNING:
            return 0.0
        return self.hour(instance.type, instance.market, instance.zone)

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
