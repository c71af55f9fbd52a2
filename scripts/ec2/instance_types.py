"""Which instance types exist, and what they need of an image."""

from __future__ import absolute_import, print_function, unicode_literals

from errors import RequestError
from instances import Ec2Error


def check(ec2, image):
    """Raises RequestError if the region does not know a type that is configured, or the image does not run on it."""
    settings = ec2.settings
    for key, name in (("server", settings.server.instance_type), ("workers", settings.workers.instance_type)):
        architectures = _architectures(ec2, key, name)
        if image.architecture not in architectures:
            line = "{}.instance_type: {} is a machine for {}, and the image {} is for {}; change one of them"
            raise RequestError(line.format(key, name, " or ".join(architectures), image.id, image.architecture))


def _architectures(ec2, key, name):
    try:
        found = ec2.call("describe_instance_types", InstanceTypes=[name])["InstanceTypes"]
    except Ec2Error as error:
        if error.code != "InvalidInstanceType":
            raise
        found = []
    if not found:
        raise RequestError("{}.instance_type: there is no {} in {}".format(key, name, ec2.settings.region))
    return found[0]["ProcessorInfo"]["SupportedArchitectures"]
