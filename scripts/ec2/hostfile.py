"""The hosts of a cluster, parameter server first, and the three files that name them."""

from __future__ import absolute_import, print_function, unicode_literals

import collections
import io
import os

Host = collections.namedtuple("Host", "alias index public_address private_address instance_id")


def alias_of(index):
    """0 -> "ps", 3 -> "worker3", None (an instance without a slot) -> None."""
    if index is None:
        return None
    return "ps" if index == 0 else "worker{}".format(index)


def contact_address(settings, host):
    """The address by which this machine reaches a Host or an Instance: settings.address says which."""
    return host.public_address if settings.address == "public" else host.private_address


def contents(hosts):
    """{file name: text}: hosts as in /etc/hosts, hosts_alias, and hosts_address, which is MPI's hostfile."""
    return collections.OrderedDict(
        (
            ("hosts", "".join("{}\t{}\n".format(host.private_address, host.alias) for host in hosts)),
            ("hosts_alias", "".join("{}\n".format(host.alias) for host in hosts)),
            ("hosts_address", "".join("{}\n".format(host.private_address) for host in hosts)),
        )
    )


def write(hosts, folder):
    """Writes the three files into the folder, each at once or not at all; returns their paths."""
    if not os.path.isdir(folder):
        os.makedirs(folder)
    paths = []
    for name, text in contents(hosts).items():
        path = os.path.join(folder, name)
        new = "{}.{}.new".format(path, os.getpid())
        with io.open(new, "w", encoding="utf-8", newline="\n") as stream:
            stream.write(text)
        os.rename(new, path)
        paths.append(path)
    return paths
