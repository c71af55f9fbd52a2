"""Which instance holds which slot of the cluster: slot 0 is the parameter server, 1 to N are the workers."""

from __future__ import absolute_import, print_function, unicode_literals

import collections

from hostfile import Host, alias_of

# States of an instance: paid for by the hour, kept with its disk, and over.
RUNNING = ("running", "pending")
STOPPED = ("stopping", "stopped")
GONE = ("shutting-down", "terminated")

# held: {index: Instance or None}; surplus: living instances of the cluster that hold no slot.
Slots = collections.namedtuple("Slots", "held surplus")


def assign(instances, count):
    """Slots 0 to count from the instances of one cluster; of two in one slot the one that runs, or else the older, holds it."""
    held, surplus = collections.OrderedDict((index, None) for index in range(count + 1)), []
    best_first = RUNNING + STOPPED
    living = [instance for instance in instances if instance.state not in GONE]
    for instance in sorted(living, key=lambda instance: (best_first.index(instance.state), instance.launched, instance.id)):
        if held.get(instance.index, instance) is None:
            held[instance.index] = instance
        else:
            surplus.append(instance)
    return Slots(held, surplus)


def in_order(instances):
    """Instances cluster by cluster, each in the order of its slots; those without a slot last."""
    return sorted(instances, key=lambda instance: (instance.cluster, instance.index is None, instance.index, instance.id))


def of_cluster(ec2):
    """The slots of the configured cluster as EC2 sees them now."""
    return assign(ec2.instances(ec2.settings.name), ec2.settings.workers.count)


def running_hosts(slots):
    """[Host] of the slots that run, parameter server first."""
    return [
        Host(alias_of(index), index, instance.public_address, instance.private_address, instance.id)
        for index, instance in slots.held.items()
        if instance is not None and instance.state == "running"
    ]
