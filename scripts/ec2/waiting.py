"""Waits that end, retries that are counted, and the lines on stderr that show both."""

from __future__ import absolute_import, print_function, unicode_literals

import random
import sys
import time

from errors import OperationFailed
from output import printable

clock = getattr(time, "monotonic", time.time)
QUIET_SECONDS = 20.0  # a wait in which nothing changes says so this often


def progress(line):
    """One line on stderr, at once; whatever a host has put into it, it stays one line."""
    sys.stdout.flush()  # the two keep their order in a common file
    sys.stderr.write(printable(line) + "\n")
    sys.stderr.flush()


class Deadline(object):
    """A point in time that several waits share."""

    def __init__(self, seconds):
        self.seconds = seconds
        self._end = clock() + seconds

    def remaining(self):
        return max(0.0, self._end - clock())

    def passed(self):
        return self.remaining() <= 0.0


def wait_until_nothing_is_missing(missing, deadline, what, advice, every=3.0):
    """Calls missing() until it returns nothing; what it returns until then is shown.

    Args:
        missing: returns a text such as "worker2 is pending", or "" once the wait is over.
        deadline: a Deadline.
        what: what is waited for, as in "instances running".
        advice: what to do when it does not come.
        every: seconds between two calls, in the long run; the first ones follow faster.

    Raises:
        OperationFailed: the deadline has passed; names what is missing still.
    """
    shown, shown_at, pause = None, None, min(0.5, every)
    while True:
        text = missing()
        if not text:
            return
        if deadline.passed():
            raise OperationFailed("{}: not after {:.0f} s: {}; {}".format(what, deadline.seconds, text, advice))
        if text != shown or clock() - shown_at > QUIET_SECONDS:
            progress("{}: {} ({:.0f} s left)".format(what, text, deadline.remaining()))
            shown, shown_at = text, clock()
        time.sleep(min(pause, deadline.remaining()))
        pause = min(1.5 * pause, every)


def retry(call, worth_another_try, attempts=6, first_pause=0.5, longest_pause=10.0):
    """call()'s value; after an error for which worth_another_try(error) holds it is called again, attempts times in all.

    Pauses double from first_pause to longest_pause; each is shortened at random, so that many callers do not come back together.
    """
    pause = first_pause
    for attempt in range(attempts):
        try:
            return call()
        except Exception as error:  # what is not worth another try is raised
            if attempt + 1 == attempts or not worth_another_try(error):
                raise
        time.sleep(pause * random.uniform(0.5, 1.0))
        pause = min(2 * pause, longest_pause)
