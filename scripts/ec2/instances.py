"""EC2: the only import of boto3. Calls that fail become one line; instances become plain tuples."""

from __future__ import absolute_import, print_function, unicode_literals

import collections

import packages
from errors import OperationFailed, RequestError

CLUSTER_TAG, SLOT_TAG, TOKEN_TAG = "byzshield-cluster", "byzshield-slot", "byzshield-launch"

Instance = collections.namedtuple(
    "Instance", "id cluster index token type market state reason public_address private_address launched subnet zone"
)

# Codes that a fresh object causes while EC2 has not told all its parts about it yet.
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
        exceptions = packages.load("botocore.exceptions")
        try:
            self._session = packages.load("boto3.session").Session(profile_name=settings.profile, region_name=settings.region)
        except exceptions.ProfileNotFound as error:
            raise RequestError("{}; `aws configure list-profiles` lists those that exist".format(error))
        except exceptions.BotoCoreError as error:  # such as a configuration file that cannot be read
            raise RequestError("{}".format(error))
        self._clients = {}

    def call(self, operation, service="ec2", region=None, patient=True, **parameters):
        """The answer to an API call, throttling waited out.

        Args:
            patient: False for what is nice to know: few seconds, few tries.

        Raises:
            Ec2Error: EC2 says no.
            OperationFailed: EC2 cannot be reached.
            RequestError: there are no credentials.
        """
        exceptions = packages.load("botocore.exceptions")
        try:
            return getattr(self._client(service, region, patient), operation)(**parameters)
        except exceptions.ClientError as error:
            answer = error.response.get("Error", {})
            raise _error(operation, answer.get("Code", "unknown"), answer.get("Message", ""))
        except (exceptions.NoCredentialsError, exceptions.PartialCredentialsError) as error:
            raise RequestError('no AWS credentials ({}); run `aws configure`, set AWS_PROFILE, or name a "profile"'.format(error))
        except exceptions.ParamValidationError:  # its text repeats the parameters, and a host key may be among them
            raise OperationFailed("{}: this version of boto3 does not know the request; install a newer one".format(operation))
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

    def instances(self, cluster=None):
        """Instances of a cluster, or of all clusters, in any state: terminated ones stay visible for about an hour."""
        if cluster is None:
            filters = [{"Name": "tag-key", "Values": [CLUSTER_TAG]}]
        else:
            filters = [{"Name": "tag:" + CLUSTER_TAG, "Values": [cluster]}]
        reservations = self.call_all("describe_instances", "Reservations", Filters=filters)
        return [_instance(item) for reservation in reservations for item in reservation["Instances"]]

    def tags(self, kind, **more):
        """TagSpecifications for a new object of this kind."""
        tags = dict(more, **{CLUSTER_TAG: self.settings.name})
        tags.setdefault("Name", "byzshield-{}".format(self.settings.name))
        return {"ResourceType": kind, "Tags": [{"Key": name, "Value": value} for name, value in sorted(tags.items())]}

    def _client(self, service, region, patient):
        key = (service, region, patient)
        if key not in self._clients:
            retries = {"mode": "standard", "max_attempts": 8 if patient else 1}
            config = packages.load("botocore.config").Config(
                retries=retries, connect_timeout=10 if patient else 3, read_timeout=60 if patient else 5
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
