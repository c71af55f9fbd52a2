"""IPv4 and IPv6 networks in the one spelling that EC2 uses, so that rules can be compared (Python 2 has no ipaddress)."""

from __future__ import absolute_import, print_function, unicode_literals

import socket

# A few wide networks together are the whole internet, so nothing wider than these may be let in.
WIDEST = {socket.AF_INET: 8, socket.AF_INET6: 32}


def network(text):
    """ "10.1.2.3/16" -> "10.1.0.0/16"; a bare address stands for itself alone (/32 or /128).

    Raises:
        ValueError: not an address or network, or one that is wider than WIDEST.
    """
    address, _, length = text.strip().partition("/")
    family, packed = _packed(address)
    bits = 8 * len(packed)
    if not length:
        length = "{}".format(bits)
    if not length.isdigit() or int(length) > bits:
        raise ValueError("{!r} has no prefix length from 0 to {}".format(text, bits))
    length = int(length)
    if length < WIDEST[family]:
        raise ValueError("{!r} opens ssh to the world; name a network of /{} or longer".format(text, WIDEST[family]))
    kept = bytearray(packed)
    for position in range(len(kept)):
        keep = min(8, max(0, length - 8 * position))
        kept[position] &= 0xFF00 >> keep & 0xFF
    return "{}/{}".format(socket.inet_ntop(family, bytes(kept)), length)


def host(text):
    """ "192.0.2.7" -> "192.0.2.7/32".

    Raises:
        ValueError: not a single address.
    """
    if "/" in text:
        raise ValueError("{!r} is not a single address".format(text))
    return network(text)


def is_version_6(cidr):
    return ":" in cidr


def _packed(address):
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            return family, socket.inet_pton(family, str(address))
        except (socket.error, UnicodeError):
            continue
    raise ValueError("{!r} is not an IPv4 or IPv6 address".format(address))
