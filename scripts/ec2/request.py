"""What is asked of EC2 for one slot: the instance, its disk, its host key."""

from __future__ import absolute_import, print_function, unicode_literals

import io
import json
import os

import slots
import waiting
from errors import OperationFailed
from hostfile import alias_of
from instances import NOT_YET_KNOWN, SLOT_TAG, TOKEN_TAG, Ec2Error

UNDECIDED = (
    "InternalError",
    "InternalFailure",
    "ServiceUnavailable",
    "Unavailable",
    "RequestLimitExceeded",
    "IdempotentParameterMismatch",
)

LIMITS_SCRIPT = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "node", "host_limits.sh")

QUOTA = "the account's quota is reached: ask for more under Service Quotas, or take fewer or smaller instances"
ADVICE = {
    "InsufficientInstanceCapacity": "no {type} is left in {zone}: try later, or another availability_zone or instance_type",
    "SpotMaxPriceTooLow": "raise max_price, or leave it out",
    "MaxSpotInstanceCountExceeded": QUOTA,
    "InstanceLimitExceeded": QUOTA,
    "VcpuLimitExceeded": QUOTA,
    "IdempotentParameterMismatch": "an interrupted launch had asked for something else here: run launch again in ten minutes",
}


def part(settings, index):
    """settings.server for slot 0, settings.workers for the others."""
    return settings.server if index == 0 else settings.workers


def market(settings, index):
    """ "spot" or "on-demand": a run survives the loss of workers, but not that of the server."""
    return settings.server.market if index == 0 else settings.market


def at_shutdown(settings, index):
    """What becomes of the slot's instance when its host shuts itself down: "stop" keeps the disk.

    Checkpoints and results are on the server's disk alone, and maybe not fetched yet; a worker's holds nothing. A spot instance
    cannot be stopped.
    """
    return "stop" if index == 0 and market(settings, index) == "on-demand" else "terminate"


def limits(settings):
    """What scripts/node/host_limits.sh takes: the user, the project's folder, hours and minutes, 0 for no limit."""
    numbers = [settings.max_hours or 0, settings.idle_minutes or 0]
    return [settings.ssh_user, settings.node.directory] + ["{}".format(number) for number in numbers]


def launch(ec2, state, index, image, place, group, key_name):
    """Launches the slot's instance and returns its id; asked again after an unknown end, EC2 returns the one that there is.

    Raises:
        OperationFailed: names the slot and what to change.
    """
    for _ in range(2):
        token, private, public = state.make_pending(index)
        parameters = _parameters(ec2, index, token, image, place, group, key_name)
        parameters["UserData"] = user_data(private, public, limits(ec2.settings))
        try:
            answer = waiting.retry(
                lambda: ec2.call("run_instances", **parameters),  # noqa: B023
                lambda error: isinstance(error, Ec2Error) and error.code in NOT_YET_KNOWN,
            )
        except Ec2Error as error:
            if error.code not in UNDECIDED:
                state.forget_pending(index)
            advice = ADVICE.get(error.code, "").format(type=parameters["InstanceType"], zone=place.zone)
            raise OperationFailed("{}: {}".format(error.args[0], advice) if advice else error.args[0])
        instance = answer["Instances"][0]
        if instance["State"]["Name"] not in slots.GONE:
            state.settle_pending(index, instance["InstanceId"])
            return instance["InstanceId"]
        state.forget_pending(index)  # the token belongs to an instance that has ended already
    raise OperationFailed("instances end as soon as they begin: {}".format(instance.get("StateReason", {}).get("Message", "")))


def user_data(private, public, limits_of_host):
    """cloud-config (JSON is YAML): this host key and no other, so that the first connection is to a known host; and what ends the
    host when its limits are over, whatever has become of the machine that launched it."""
    keys = {"ed25519_private": private + "\n", "ed25519_public": public + "\n"}
    script = "/root/byzshield-host-limits"
    with io.open(LIMITS_SCRIPT, encoding="utf-8") as stream:
        files = [{"path": script, "permissions": "0700", "content": stream.read()}]
    document = {"ssh_deletekeys": True, "ssh_keys": keys, "ssh_pwauth": False}
    document.update(write_files=files, runcmd=[["bash", script, "install"] + limits_of_host])
    return "#cloud-config\n" + json.dumps(document, sort_keys=True) + "\n"


def _parameters(ec2, index, token, image, place, group, key_name):
    settings = ec2.settings
    own = part(settings, index)
    tags = {SLOT_TAG: "{}".format(index), TOKEN_TAG: token, "Name": "byzshield-{}-{}".format(settings.name, alias_of(index))}
    interface = {"DeviceIndex": 0, "SubnetId": place.subnet, "Groups": [group], "DeleteOnTermination": True}
    if settings.address == "public":
        interface["AssociatePublicIpAddress"] = True
    disk = {"VolumeSize": own.disk_gib, "VolumeType": "gp3", "Encrypted": True, "DeleteOnTermination": True}
    kinds = ["instance", "volume", "network-interface"]
    parameters = {
        "ClientToken": token,
        "ImageId": image.id,
        "InstanceType": own.instance_type,
        "KeyName": key_name,
        "MinCount": 1,
        "MaxCount": 1,
        "NetworkInterfaces": [interface],
        "BlockDeviceMappings": [{"DeviceName": image.root_device, "Ebs": disk}],
        "InstanceInitiatedShutdownBehavior": at_shutdown(settings, index),
        "MetadataOptions": {"HttpEndpoint": "enabled", "HttpTokens": "required", "HttpPutResponseHopLimit": 1},
    }
    if market(settings, index) == "spot":
        options = {"SpotInstanceType": "one-time", "InstanceInterruptionBehavior": "terminate"}
        if settings.max_price is not None:
            options["MaxPrice"] = "{}".format(settings.max_price)
        parameters["InstanceMarketOptions"] = {"MarketType": "spot", "SpotOptions": options}
        kinds.append("spot-instances-request")
    parameters["TagSpecifications"] = [ec2.tags(kind, **tags) for kind in kinds]
    return parameters
