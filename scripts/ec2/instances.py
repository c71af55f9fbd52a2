"""EC2; boto3 is imported here alone. Calls that fail become one line; instances become plain tuples."""

from __future__ import absolute_import, print_function, unicode_literals

import collections

import ownership
import packages
from errors import OperationFailed, RequestError

CLUSTER_TAG, SLOT_TAG, TOKEN_TAG = "byzshield-cluster", "byzshield-slot", "byzshield-launch"

Instance = collections.namedtuple(
    "Instance", "id cluster index token type market state reason public_address private_address launched subnet zone owner"
)

# What EC2 answers for a while after an object was made, until all its parts know it.
NOT_YET_KNOWN = ("InvalidGroup.NotFound", "InvalidKeyPair.NotFound", "InvalidInstanceID.NotFound")
REFUSED = (
    "AuthFailure",
    "InvalidClientTokenId",
    "ExpiredToken",
    "RequestExpired",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
)


class Ec2Error(OperationFailed):
    """EC2 has answered with an error; code is its name for it."""

    def __init__(self, code, line):
        super(Ec2Error, self).__init__(line)
        self.code = code


class Ec2(object):
    """One region's EC2, as one configuration reaches it."""

    def __init__(self, settings):
        self.settings = settings
        self.owner = None  # the Owner that new objects are tagged with
        self.object_name = "byzshield-{}".format(settings.name)  # of the cluster's key pair and security group
        exceptions = packages.load("botocore.exceptions")
        try:
            self._session = packages.load("boto3.session").Session(profile_name=settings.profile, region_name=settings.region)
        except exceptions.ProfileNotFound as error:
            raise RequestError("{}; `aws configure list-profiles` lists those that exist".format(error))
        except exceptions.BotoCoreError as error:  # such as a configuration file that cannot be read
            raise RequestError("{}".format(error))
        self._clients = {}

    def call(self, operation, service="ec2", region=None, optional=False, **parameters):
        """The answer to an API call, throttling waited out.

        Args:
            optional: the caller can do without the answer, so one attempt of a few seconds is enough.

        Raises:
            Ec2Error: EC2 says no.
            OperationFailed: EC2 cannot be reached.
            RequestError: there are no credentials.
        """
        exceptions = packages.load("botocore.exceptions")
        try:
            return getattr(self._client(service, region, optional), operation)(**parameters)
        except exceptions.ClientError as error:
            answer = error.response.get("Error", {})
            raise _error(operation, answer.get("Code", "unknown"), answer.get("Message", ""))
        except (exceptions.NoCredentialsError, exceptions.PartialCredentialsError) as error:
            raise RequestError('no AWS credentials ({}); run `aws configure`, set AWS_PROFILE, or name a "profile"'.format(error))
        except exceptions.ParamValidationError:  # its text repeats the parameters, and a host key may be among them
            raise OperationFailed("{}: this version of boto3 does not know the request; install a newer one".format(operation))
        except packages.load("botocore.parsers").ResponseParserError:  # its text repeats the whole page
            line = "{} in {}: what answers is not AWS, but perhaps a proxy; check endpoint_url and this machine's proxy settings"
            raise OperationFailed(line.format(service, region or self.settings.region))
        except exceptions.BotoCoreError as error:
            raise OperationFailed("{} in {}: {}".format(service, region or self.settings.region, _line("{}".format(error))))

    def call_all(self, operation, key, **parameters):
        """The items of all pages under a key of the answer."""
        items = []
        while True:
            answer = self.call(operation, **parameters)
            items.extend(answer[key])
            if not answer.get("NextToken"):
                return items
            parameters["NextToken"] = answer["NextToken"]

    def tagged(self, operation, key, *filters):
        """The items of a describe call that carry this cluster's tag. It is checked here, too: what is found may be deleted."""
        items = self.call_all(operation, key, Filters=[_has_tag(self.settings.name)] + list(filters))
        return [item for item in items if tag(item, CLUSTER_TAG) == self.settings.name]

    def instances(self, cluster=None):
        """Instances of a cluster, or of all clusters, in any state: terminated ones stay visible for about an hour."""
        filters = [{"Name": "tag-key", "Values": [CLUSTER_TAG]} if cluster is None else _has_tag(cluster)]
        reservations = self.call_all("describe_instances", "Reservations", Filters=filters)
        return [_instance(item) for reservation in reservations for item in reservation["Instances"]]

    def tags(self, kind, **more):
        """TagSpecifications for a new object of this kind."""
        tags = dict(more, **{CLUSTER_TAG: self.settings.name})
        tags.update({ownership.ID_TAG: self.owner.id, ownership.OWNER_TAG: self.owner.name})
        tags.setdefault("Name", self.object_name)
        return {"ResourceType": kind, "Tags": [{"Key": name, "Value": value} for name, value in sorted(tags.items())]}

    def name_is_taken(self, kind):
        """The RequestError for an object of that kind that has the cluster's name and not its tag."""
        line = 'a {} {} without the tag {}={} is in the way; delete it, or choose another "name"'
        return RequestError(line.format(kind, self.object_name, CLUSTER_TAG, self.settings.name))

    def _client(self, service, region, optional):
        key = (service, region, optional)
        if key not in self._clients:
            retries = {"mode": "standard", "max_attempts": 1 if optional else 8}
            config = packages.load("botocore.config").Config(
                retries=retries, connect_timeout=3 if optional else 10, read_timeout=5 if optional else 60
            )
            try:
                self._clients[key] = self._session.client(
                    service, region_name=region or self.settings.region, endpoint_url=self.settings.endpoint_url, config=config
                )
            except ValueError as error:
                raise RequestError("endpoint_url: {}".format(error))
        return self._clients[key]


def tag(item, name):
    """The value of an object's tag, or None."""
    return next((pair["Value"] for pair in item.get("Tags", []) if pair["Key"] == name), None)


def owner(item):
    """The ownership.Owner that an object's tags name."""
    return ownership.of({pair["Key"]: pair["Value"] for pair in item.get("Tags", [])})


def _has_tag(cluster):
    return {"Name": "tag:" + CLUSTER_TAG, "Values": [cluster]}


def _instance(item):
    index = tag(item, SLOT_TAG) or ""
    return Instance(
        id=item["InstanceId"],
        cluster=tag(item, CLUSTER_TAG),
        index=int(index) if index.isdigit() else None,
        token=tag(item, TOKEN_TAG),
        type=item["InstanceType"],
        market="spot" if item.get("InstanceLifecycle") == "spot" else "on-demand",
        state=item["State"]["Name"],
        reason=item.get("StateReason", {}).get("Message", ""),
        public_address=item.get("PublicIpAddress") or None,
        private_address=item.get("PrivateIpAddress") or None,
        launched=item["LaunchTime"],
        subnet=item.get("SubnetId"),
        zone=item.get("Placement", {}).get("AvailabilityZone"),
        owner=owner(item),
    )


def _error(operation, code, message):
    if code in REFUSED:
        return RequestError(
            "AWS refuses the credentials ({}: {}); log in again or check the profile".format(code, _line(message))
        )
    if code == "UnauthorizedOperation":
        return Ec2Error(
            code, "these credentials may not call {}; docs/clusters.md lists what the launcher needs".format(operation)
        )
    return Ec2Error(code, "{}: {} ({})".format(operation, _line(message), code))


def _line(message):
    """The message as one line, and never a key that it might quote."""
    return "(hidden: it quotes a key)" if "PRIVATE KEY" in message else " ".join(message.split())
