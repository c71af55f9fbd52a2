"""What an interrupted launch asked of EC2: waits until EC2 lists it, and takes it over."""

from __future__ import absolute_import, print_function, unicode_literals

import slots
from waiting import Deadline, wait_until_nothing_is_missing

VISIBLE_SECONDS = 60.0  # by then, EC2 lists an instance that it has launched
UNSETTLED_SECONDS = 600.0  # by then, a token without an instance will never have one


def all_instances(ec2, state, undecided):
    """The cluster's instances, once those are listed that this machine has launched of late.

    Args:
        undecided: wait for what may come of attempts whose end is unknown, too.
    """
    found = []

    def missing():
        del found[:]
        found.extend(ec2.instances(ec2.settings.name))
        late = [identity for identity in state.instances_younger_than(VISIBLE_SECONDS) if identity not in {i.id for i in found}]
        if undecided:
            tokens = {instance.token for instance in found}
            young = [index for index in state.pending() if state.pending_age(index) < VISIBLE_SECONDS]
            late.extend("what was asked for slot {}".format(i) for i in young if state.pending_token(i) not in tokens)
        return ", ".join(late)

    deadline = Deadline(2 * VISIBLE_SECONDS)
    wait_until_nothing_is_missing(missing, deadline, "EC2 lists what it has launched", "run the command again")
    return found


def settle(ec2, state):
    """Takes over what interrupted launches have begun; returns all instances of the cluster."""
    found = all_instances(ec2, state, undecided=False)
    by_token = {instance.token: instance for instance in found}
    for index in state.pending():
        instance = by_token.get(state.pending_token(index))
        if instance is not None and instance.state not in slots.GONE:
            state.settle_pending(index, instance.id)
        elif instance is not None or state.pending_age(index) > UNSETTLED_SECONDS:
            state.forget_pending(index)
    return found
