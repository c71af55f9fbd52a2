"""The same work for many hosts at once; when it fails for one, it goes on for the others."""

from __future__ import absolute_import, print_function, unicode_literals

import collections

import packages
from errors import LauncherError, OperationFailed

AT_ONCE = 64

Outcome = collections.namedtuple("Outcome", "item value error")


def for_each(work, items, seconds, at_once=AT_ONCE):
    """[Outcome(item, work(item), None) or Outcome(item, None, LauncherError)] in the order of items.

    Any other exception is a defect, and ends all.

    Args:
        seconds: the longest that one item may take. Work has deadlines of its own; this one also keeps Ctrl-C alive under
            Python 2, which cannot interrupt a wait without end.
    """
    joblib = packages.load("joblib")
    items = list(items)
    if not items:
        return []
    # Never one job: joblib would run it in this thread, complain, and have no deadline.
    pool = joblib.Parallel(n_jobs=max(2, min(at_once, len(items))), backend="threading", timeout=seconds)
    try:
        return pool(joblib.delayed(_attempt)(work, item) for item in items)
    except Exception as error:  # joblib's versions raise different classes, all of this name
        if type(error).__name__ != "TimeoutError":
            raise
        raise OperationFailed("not done after {:.0f} s; the same command goes on where this one stopped".format(seconds))


def _attempt(work, item):
    try:
        return Outcome(item, work(item), None)
    except LauncherError as error:
        return Outcome(item, None, error)
