"""Whose a cluster is: a random id, and the AWS identity of who launched it, as tags on all that belongs to it."""

from __future__ import absolute_import, print_function, unicode_literals

import collections
import re

from errors import RequestError

ID_TAG, OWNER_TAG = "byzshield-id", "byzshield-owner"
UNKNOWN = "unknown"  # what carries no such tags, as all that earlier versions launched

Owner = collections.namedtuple("Owner", "id name")


def of(tags):
    """The Owner that the tags {name: value} of an object name."""
    return Owner(tags.get(ID_TAG) or UNKNOWN, tags.get(OWNER_TAG) or UNKNOWN)


def caller(ec2):
    """The ARN of whose credentials these are, in the letters that a tag may have."""
    return re.sub(r"[^\w.:/=+@ -]", "_", ec2.call("get_caller_identity", service="sts")["Arn"])[:256]


def strangers(ec2, state, owners):
    """Those of the Owners that are neither of this machine's cluster nor of this caller, each once.

    Where this machine knows the cluster's id, that decides; where it does not, who the caller is.
    """
    own, others = state.owner(), sorted(set(owners))
    if own is not None:
        return [owner for owner in others if owner.id != own.id]
    others = [owner for owner in others if owner.id != UNKNOWN or state.cluster_key() is None]
    return [owner for owner in others if owner.name != caller(ec2)] if others else []


def words(owner):
    return "id {}, launched by {}".format(owner.id, owner.name)


def refuse(ec2, found, advice):
    """Raises RequestError if there are strangers."""
    if found:
        line = "a cluster {} of someone else is in {} ({}); {}"
        raise RequestError(
            line.format(ec2.settings.name, ec2.settings.region, "; ".join(words(owner) for owner in found), advice)
        )
