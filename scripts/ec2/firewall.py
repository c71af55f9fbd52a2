"""Who may reach the cluster: its security group."""

from __future__ import absolute_import, print_function, unicode_literals

try:
    from urllib.request import urlopen
except ImportError:
    from urllib2 import urlopen  # novm: Python 2 only

import addresses
import waiting
from errors import OperationFailed
from instances import NOT_YET_KNOWN, Ec2Error


def caller_network(settings):
    """The network from which ssh is let in: the configured one, or this machine's address as the internet sees it."""
    if settings.ssh_from != "auto":
        return addresses.network(settings.ssh_from)
    url = settings.check_address_url

    def ask():
        answer = urlopen(url, timeout=10)
        try:
            return answer.read(200).decode("ascii", "replace").strip()
        finally:
            answer.close()

    try:
        text = waiting.retry(ask, lambda error: isinstance(error, EnvironmentError), attempts=3)
        return addresses.host(text)
    except (EnvironmentError, ValueError) as error:
        raise OperationFailed(
            'this machine\'s address cannot be had from {} ({}); set ssh_from to it, such as "198.51.100.7/32"'.format(url, error)
        )


def groups(ec2):
    """The cluster's security groups: one, unless the cluster has moved to another VPC."""
    return ec2.tagged("describe_security_groups", "SecurityGroups")


def ensure(ec2, vpc, source):
    """The id of the cluster's group in the VPC, made if missing, with exactly two rules: ssh from the source, all from itself."""
    name = ec2.object_name
    group = next((group for group in groups(ec2) if group["VpcId"] == vpc), None)
    if group is None:
        try:
            answer = ec2.call(
                "create_security_group",
                GroupName=name,
                Description="byzshield cluster {}".format(ec2.settings.name),
                VpcId=vpc,
                TagSpecifications=[ec2.tags("security-group")],
            )
        except Ec2Error as error:
            if error.code == "InvalidGroup.Duplicate":
                raise ec2.name_is_taken("security group")
            raise
        group = {"GroupId": answer["GroupId"], "IpPermissions": []}
    identity = group["GroupId"]
    port = ec2.settings.ssh_port
    wanted = {("tcp", port, port, "cidr", source), ("-1", None, None, "group", identity)}
    present = set(_rules(group["IpPermissions"]))
    for rule in wanted - present:
        waiting.progress("security group {}: lets in {}".format(name, _words(rule, identity)))
        _change(ec2, "authorize_security_group_ingress", identity, rule, harmless="InvalidPermission.Duplicate")
    for rule in present - wanted:
        waiting.progress("security group {}: no longer lets in {}".format(name, _words(rule, identity)))
        _change(ec2, "revoke_security_group_ingress", identity, rule, harmless="InvalidPermission.NotFound")
    return identity


def _rules(permissions):
    """Each permission taken apart: (protocol, first port, last port, kind of source, source)."""
    kinds = (
        ("cidr", "IpRanges", "CidrIp"),
        ("cidr", "Ipv6Ranges", "CidrIpv6"),
        ("group", "UserIdGroupPairs", "GroupId"),
        ("prefix list", "PrefixListIds", "PrefixListId"),
    )
    for permission in permissions:
        for kind, key, name in kinds:
            for item in permission.get(key, []):
                yield permission["IpProtocol"], permission.get("FromPort"), permission.get("ToPort"), kind, item.get(name)


def _change(ec2, operation, group, rule, harmless):
    protocol, first, last, kind, source = rule
    permission = {"IpProtocol": protocol}
    if first is not None:
        permission.update(FromPort=first, ToPort=last)
    if kind == "cidr" and addresses.is_version_6(source):
        permission["Ipv6Ranges"] = [{"CidrIpv6": source}]
    elif kind == "cidr":
        permission["IpRanges"] = [{"CidrIp": source}]
    elif kind == "group":
        permission["UserIdGroupPairs"] = [{"GroupId": source}]
    else:
        permission["PrefixListIds"] = [{"PrefixListId": source}]
    try:
        waiting.retry(
            lambda: ec2.call(operation, GroupId=group, IpPermissions=[permission]),
            lambda error: isinstance(error, Ec2Error) and error.code in NOT_YET_KNOWN,
        )
    except Ec2Error as error:
        if error.code != harmless:
            raise


def _words(rule, own):
    protocol, first, last, kind, source = rule
    what = "everything" if protocol == "-1" else "{} {}".format(protocol, first if first == last else "{}-{}".format(first, last))
    return "{} from {}".format(what, "itself" if source == own else "{} {}".format(kind, source) if kind != "cidr" else source)
