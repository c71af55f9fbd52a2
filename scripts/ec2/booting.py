"""Waits for ssh on a host that may still be booting."""

from __future__ import absolute_import, print_function, unicode_literals

import time

from remote import CONNECT_SECONDS, LoginRefused, Unreachable
from waiting import clock, progress

LOGIN_SECONDS = 90.0  # cloud-init installs the key so long after ssh first answers, at most
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 10.0


def connect(access, node, deadline, login_seconds=0.0):
    """A Connection; refused and timed-out attempts are repeated, a host key that is wrong never is.

    Args:
        access: a remote.Access.
        deadline: a waiting.Deadline for all attempts.
        login_seconds: for so long after ssh first answers, a login that is refused is repeated as well.

    Raises:
        Unreachable, LoginRefused, HostKeyRefused.
    """
    pause, answered_at, said = FIRST_PAUSE, None, None
    while True:
        try:
            return access.connect(node, max(1.0, min(CONNECT_SECONDS, deadline.remaining())))
        except Unreachable as error:
            if deadline.passed():
                raise Unreachable("{} (tried for {:.0f} s)".format(error, deadline.seconds))
            state = "waiting for ssh"
        except LoginRefused:
            answered_at = answered_at or clock()
            if deadline.passed() or clock() - answered_at >= login_seconds:
                raise
            state = "ssh answers; waiting for the key to be installed"
        if state != said:
            progress("{}: {}".format(node.alias, state))
            said = state
        time.sleep(min(pause, deadline.remaining()))
        pause = min(1.5 * pause, LONGEST_PAUSE)
