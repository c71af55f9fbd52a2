"""The image that instances start from."""

from __future__ import absolute_import, print_function, unicode_literals

import collections

from errors import RequestError
from instances import Ec2Error

Image = collections.namedtuple("Image", "id root_device smallest_disk_gib architecture")


def find(ec2):
    """The configured image; a path of SSM's parameter store is looked up."""
    name = ec2.settings.image
    if name.startswith("ssm:"):
        try:
            name = ec2.call("get_parameter", service="ssm", Name=name[len("ssm:") :])["Parameter"]["Value"]
        except Ec2Error as error:
            raise RequestError("image {} cannot be looked up in {}: {}".format(name, ec2.settings.region, error.args[0]))
    try:
        found = ec2.call("describe_images", ImageIds=[name])["Images"]
    except Ec2Error as error:
        raise RequestError("image {}: {}".format(name, error.args[0]))
    if not found:
        raise RequestError("image {} does not exist in {}".format(name, ec2.settings.region))
    root = found[0].get("RootDeviceName", "/dev/sda1")
    disks = [disk.get("Ebs", {}) for disk in found[0].get("BlockDeviceMappings", []) if disk.get("DeviceName") == root]
    return Image(name, root, disks[0].get("VolumeSize", 1) if disks else 1, found[0].get("Architecture", "x86_64"))
