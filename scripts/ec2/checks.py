"""What a value in a cluster's configuration may be: a test, and the words for it in the error."""

from __future__ import absolute_import, print_function, unicode_literals

import collections
import re

import addresses

Check = collections.namedtuple("Check", "meaning accepts")

TEXT = type("")


def matching(pattern, meaning):
    compiled = re.compile(pattern + r"\Z")
    return Check(meaning, lambda value: isinstance(value, TEXT) and compiled.match(value) is not None)


def whole(lowest, highest):
    return Check(
        "a whole number from {} to {}".format(lowest, highest),
        lambda value: isinstance(value, int) and not isinstance(value, bool) and lowest <= value <= highest,
    )


def one_of(*values):
    return Check(" or ".join('"{}"'.format(value) for value in values), lambda value: value in values)


def list_of(check):
    return Check(
        "a list, each item {}".format(check.meaning),
        lambda value: isinstance(value, list) and all(check.accepts(item) for item in value),
    )


def optional(check):
    return Check("{}, or null".format(check.meaning), lambda value: value is None or check.accepts(value))


def _is_price(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < 10000


def _is_ssh_source(value):
    try:
        return value == "auto" or (isinstance(value, TEXT) and addresses.network(value) is not None)
    except ValueError:
        return False


def _is_network(value):
    try:
        return isinstance(value, TEXT) and "/" in value and addresses.network(value) is not None
    except ValueError:
        return False


BOOLEAN = Check("true or false", lambda value: isinstance(value, bool))
PRICE = Check("a price above 0 in USD an hour", _is_price)
PRICES = Check(
    'a table such as {"c6i.xlarge": 0.17, "gp3": 0.08}',
    lambda value: isinstance(value, dict) and all(_is_price(price) for price in value.values()),
)
SSH_SOURCE = Check(
    '"auto", or a network such as "198.51.100.0/24" of at least /8 (IPv6: /32), never the whole world', _is_ssh_source
)

NETWORK = Check('a network such as "10.0.0.0/16"', _is_network)

CLUSTER_NAME = matching("[a-z][a-z0-9-]{0,39}", "small letters, digits and hyphens, a letter first, at most 40")
REGION = matching("[a-z]{2,}(-[a-z]+)+-[0-9]", 'an AWS region such as "us-east-1"')
ZONE = matching("[a-z]{2,}(-[a-z0-9]+)+[a-z]", 'an availability zone such as "us-east-1a"')
SUBNET = matching("subnet-[0-9a-f]{8,17}", 'a subnet such as "subnet-0123456789abcdef0"')
IMAGE = matching("ami-[0-9a-f]{8,17}|ssm:/[A-Za-z0-9/._-]+", '"ami-..." or "ssm:/path/of/a/parameter"')
INSTANCE_TYPE = matching("[a-z0-9-]+[.][a-z0-9-]+", 'an instance type such as "c6i.xlarge"')
USER = matching("[a-z_][a-z0-9_-]{0,31}", "a user name")
WORD = matching(r"\S+", "a text without spaces")
LINE = matching(r"[^\r\n]+", "a text of one line")
# Whoever could read or change what is said there on its way would have a session's credentials, or ssh opened to any address.
SAFE_URL = matching(
    r"https://\S+|http://(127[.]0[.]0[.]1|localhost|\[::1\])(:[0-9]+)?(/\S*)?",
    "a URL that begins with https:// (http:// goes to this machine alone)",
)
PACKAGE_INDEX = matching(r"(https://|file:///)\S+", "a URL that begins with https:// or file:///")
# No component may be empty, "." or "..": code is mirrored into this folder, and what does not belong there is deleted.
FOLDER = matching(
    "/?[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*", "a folder without spaces, dots or tilde in front"
)
PACKAGE = matching("[a-z0-9][a-z0-9+.-]+", "a Debian package")
# A path, or HOST:/PATH (NFS, EFS), HOST@tcp:/NAME (FSx for Lustre), USER@HOST:PATH, BUCKET or BUCKET:/PATH (fuse).
MOUNT_SOURCE = matching(
    "(/|[A-Za-z0-9_])[A-Za-z0-9_.,:/@+-]*",
    'what to mount, such as "fs-0123.efs.us-east-1.amazonaws.com:/" or "fs-0123@tcp:/name"',
)
MOUNT_TYPE = matching("[a-z0-9]+([.][a-z0-9_-]+)?", 'a type of file system, such as "nfs4", "lustre" or "fuse.sshfs"')
MOUNT_POINT = matching("/[A-Za-z0-9_][A-Za-z0-9_./-]*", 'a folder such as "/mnt/shared"')
MOUNT_OPTIONS = matching("[A-Za-z0-9_.,=:/@%+-]+", "mount options, separated by commas")
