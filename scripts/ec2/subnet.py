"""Where the cluster is: one subnet, so that all its hosts are close and no traffic between zones is paid for."""

from __future__ import absolute_import, print_function, unicode_literals

import collections

from errors import RequestError
from request import market, part

Place = collections.namedtuple("Place", "vpc subnet zone")


def find(ec2, prices, living):
    """One subnet for all: the configured one, or that of living instances, or one in a zone that has the types (the cheapest)."""
    settings = ec2.settings
    if not (settings.availability_zone or settings.region).startswith(settings.region):
        line = "availability_zone {} is not in region {}; change one of them"
        raise RequestError(line.format(settings.availability_zone, settings.region))
    subnet = settings.subnet or next((instance.subnet for instance in living if instance.subnet), None)
    if subnet:
        found = ec2.call("describe_subnets", SubnetIds=[subnet])["Subnets"][0]
        if settings.availability_zone not in (None, found["AvailabilityZone"]):
            raise RequestError(
                "availability_zone is {}, but {} {} is in {}; change one of them{}".format(
                    settings.availability_zone,
                    "the subnet" if settings.subnet else "the cluster's subnet",
                    subnet,
                    found["AvailabilityZone"],
                    "" if settings.subnet else ", or `terminate` the cluster first",
                )
            )
        return Place(found["VpcId"], subnet, found["AvailabilityZone"])
    candidates = _default_subnets(ec2)
    types = sorted({settings.server.instance_type, settings.workers.instance_type})
    on_spot = sorted({part(settings, index).instance_type for index in (0, 1) if market(settings, index) == "spot"})
    zones = set(candidates).intersection(*[_zones_with(ec2, instance_type) for instance_type in types])
    if not zones:
        raise RequestError(
            'no default subnet of {} in a zone that has {}; choose other instance types, or name a "subnet"'.format(
                settings.availability_zone or settings.region, " and ".join(types)
            )
        )

    def rank(zone):
        return sum(prices.spot(instance_type).get(zone, float("inf")) for instance_type in on_spot), zone

    return candidates[min(zones, key=rank)]


def _default_subnets(ec2):
    """{zone: Place} of the default VPC."""
    vpcs = ec2.call_all("describe_vpcs", "Vpcs", Filters=[{"Name": "isDefault", "Values": ["true"]}])
    if not vpcs:
        raise RequestError('{} has no default VPC; name a "subnet"'.format(ec2.settings.region))
    filters = [{"Name": "vpc-id", "Values": [vpcs[0]["VpcId"]]}, {"Name": "default-for-az", "Values": ["true"]}]
    subnets = ec2.call_all("describe_subnets", "Subnets", Filters=filters)
    places = [Place(subnet["VpcId"], subnet["SubnetId"], subnet["AvailabilityZone"]) for subnet in subnets]
    return {place.zone: place for place in places if ec2.settings.availability_zone in (None, place.zone)}


def _zones_with(ec2, instance_type):
    offerings = ec2.call_all(
        "describe_instance_type_offerings",
        "InstanceTypeOfferings",
        LocationType="availability-zone",
        Filters=[{"Name": "instance-type", "Values": [instance_type]}],
    )
    return {offering["Location"] for offering in offerings}
