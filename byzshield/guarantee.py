"""What audits promise: how probably a lie escapes, and how many files are wrong before a liar is convicted."""

from math import ceil, inf, log1p
from typing import Final

__all__ = ["effective_rate", "escape_probability", "guarantee_in_words", "lies_until", "wrong_files_expected"]

SAMPLE: Final = 10  # lies of the example that people read


def escape_probability(rate: float, lies: int) -> float:
    """(1 - p)^k: the probability that a worker which lies in k decided files is not convicted.

    Each decided file is drawn by itself, so it does not matter in which files and steps the lies are told, how many others lie,
    or how busy the server is.

    Args:
        rate: p, the probability with which a decided file is checked, 0 to 1.
        lies: k >= 0, files in which the worker has decided for something else than the gradient.

    >>> round(escape_probability(0.1, 10), 3)
    0.349
    """
    return float((1 - rate) ** lies)


def wrong_files_expected(rate: float, *, idle: bool = False) -> float:
    """(1 - p) / p: the mean number of wrong files that a worker brings about before it is convicted, however it spreads them.

    The lie that convicts it is replaced in its own step, as are its others in that step, so this is an upper bound where it votes
    on several files a step. q liars bring about at most q times as many, accomplices that lie in the same files fewer.

    Args:
        rate: p, 0 to 1; infinite for 0.
        idle: whether files of the step before are checked; then the lie that convicts it has counted as well: 1 / p.

    >>> wrong_files_expected(0.2), wrong_files_expected(0.2, idle=True)
    (4.0, 5.0)
    """
    return (1 - rate * (not idle)) / rate if rate else inf


def effective_rate(rate: float, *, honest: int, candidates: int) -> float:
    """The rate that counts where workers check workers: an accomplice who is drawn as a witness agrees with the liar.

    Args:
        rate: p, 0 to 1.
        honest: workers who are no accomplices of the liar.
        candidates: workers who do not hold the file, of whom one is drawn; K - r.

    >>> effective_rate(0.2, honest=12, candidates=14) < effective_rate(0.2, honest=14, candidates=14)
    True
    """
    return rate * honest / candidates


def lies_until(rate: float, probability: float) -> float:
    """The least k with which a worker that lies in k files is convicted with at least this probability; infinite for rate 0.

    Args:
        rate: p, 0 to 1.
        probability: 0 <= probability < 1.

    >>> lies_until(0.1, 0.99)
    44
    """
    if rate in (0, 1):
        return 1 if rate else inf
    return ceil(log1p(-probability) / log1p(-rate))


def guarantee_in_words(rate: float, *, arbitrated: bool, witnessed: bool = False, idle: bool = False, expels: bool = True) -> str:
    """What a run's audits promise, in one line; empty if there are none.

    Args:
        rate: p, 0 to 1; with `idle` the share of all files that was checked.
        arbitrated: whether the server settles every disagreement.
        witnessed: whether workers check workers.
        idle: whether as many files are checked as the server has time for.
        expels: whether who is convicted has no vote any more.

    >>> guarantee_in_words(0.2, arbitrated=False)
    'who lies in k files escapes with probability 0.8^k (10 files: 11%), and 4 files are wrong on average before'
    """
    words = ["a file is wrong only if all its holders collude"] if arbitrated else []
    if rate or idle:
        example = f"{SAMPLE} files: {escape_probability(rate, SAMPLE):.0%}"
        condition = ", if witnesses are honest" if witnessed else ", unless it knows when the server has no time" if idle else ""
        before = f", and {wrong_files_expected(rate, idle=idle):.3g} files are wrong on average before" if expels else ""
        words.append(f"who lies in k files escapes with probability {1 - rate:.3g}^k ({example}){before}{condition}")
    return "; ".join(words)
