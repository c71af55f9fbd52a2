"""The cluster's key pair: made here, and only its public half known to EC2."""

from __future__ import absolute_import, print_function, unicode_literals

import hashlib

from errors import RequestError
from instances import Ec2Error, tag
from waiting import progress

DIGEST_TAG = "byzshield-key"  # SHA-256 of the public key: how EC2 computes its own fingerprints depends on the kind of key


def key_pairs(ec2):
    return ec2.tagged("describe_key_pairs", "KeyPairs")


def check(ec2, state, living, pairs):
    """Raises RequestError if instances live whose key, of those that EC2 has, is not on this machine."""
    if living and state.cluster_key() is None:
        raise RequestError(
            "the cluster {} has instances, and its key is not on this machine: copy {} from the machine that launched them, "
            "or `terminate` and launch anew".format(ec2.settings.name, state.folder)
        )
    if living and pairs and tag(pairs[0], DIGEST_TAG) != _digest(state.cluster_key()):
        raise RequestError(
            "the cluster {} was launched with another key than {}: copy that folder from the machine that launched it, "
            "or `terminate` and launch anew".format(ec2.settings.name, state.key)
        )


def ensure(ec2, state):
    """The name of the key pair in EC2, whose private half is in the state folder; both made if missing."""
    public = state.make_cluster_key()
    for pair in key_pairs(ec2):
        if tag(pair, DIGEST_TAG) == _digest(public):
            return pair["KeyName"]
        ec2.call("delete_key_pair", KeyName=pair["KeyName"])
    try:
        ec2.call(
            "import_key_pair",
            KeyName=ec2.object_name,
            PublicKeyMaterial=public.encode("ascii"),
            TagSpecifications=[ec2.tags("key-pair", **{DIGEST_TAG: _digest(public)})],
        )
    except Ec2Error as error:
        if error.code == "InvalidKeyPair.Duplicate":
            raise ec2.name_is_taken("key pair")
        raise
    progress("key pair {}: its public half is imported".format(ec2.object_name))
    return ec2.object_name


def _digest(public):
    """SHA-256 of type and key, without the comment."""
    return hashlib.sha256(" ".join(public.split()[:2]).encode("ascii")).hexdigest()
