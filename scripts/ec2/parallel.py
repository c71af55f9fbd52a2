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
        seconds: for so long all of them are waited for; what is not done then has failed. Work has deadlines of its own; this one
            also keeps Ctrl-C alive under Python 2, which cannot interrupt a wait without end.
    """
    joblib = packages.load("joblib")
    items = list(items)
    if not items:
        return []
    # Never one job: joblib would run it in this thread, complain, and have no deadline.
    pool = joblib.Parallel(n_jobs=max(2, min(at_once, len(items))), backend="threading", timeout=seconds)
    done = {}
    try:
        pool(joblib.delayed(_attempt)(work, position, item, done) for position, item in enumerate(items))
    except Exception as error:  # joblib's versions raise different classes, all of this name
        if type(error).__name__ != "TimeoutError":
            raise
    line = "{}: not done after {:.0f} s; the same command goes on where this one stopped"
    late = [Outcome(item, None, OperationFailed(line.format(getattr(item, "alias", item), seconds))) for item in items]
    return [done.get(position, late[position]) for position in range(len(items))]


def _attempt(work, position, item, done):
    try:
        done[position] = Outcome(item, work(item), None)
    except LauncherError as error:
        done[position] = Outcome(item, None, error)
