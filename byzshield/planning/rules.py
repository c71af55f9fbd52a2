"""Which aggregation rule to take for a placement: one that bears its worst case."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from byzshield.aggregation import AGGREGATORS, PRE_AGGREGATORS, Pipeline
from byzshield.errors import TooFewRowsError

__all__ = ["Chain", "chain_for", "most_wrong"]


@dataclass(frozen=True, kw_only=True)
class Chain:
    """A rule and what comes before it, with their default keywords.

    Args:
        rule: its name.
        pre: names of pre-aggregators.
    """

    rule: str
    pre: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "+".join([*self.pre, self.rule])


# docs/planning.md says why these two.
WITHOUT_LOSS: Final = Chain(rule="mean")
ROBUST: Final = Chain(rule="median", pre=("nnm",))


def chain_for(num_files: int, num_corrupted: int) -> Chain | None:
    """The rule to begin with, or None where it does not bear so many wrong files.

    >>> str(chain_for(25, 0)), str(chain_for(25, 3)), chain_for(25, 13)
    ('mean', 'nnm+median', None)
    """
    if not num_corrupted:
        return WITHOUT_LOSS
    return ROBUST if num_corrupted <= most_wrong(num_files, num_corrupted) else None


def most_wrong(num_files: int, num_corrupted: int) -> int:
    """How many wrong files the rule that is recommended against `num_corrupted` bears at most."""
    return _most_borne(num_files) if num_corrupted else 0


@lru_cache(maxsize=1024)
def _most_borne(num_files: int) -> int:
    return next((count for count in range(num_files // 2, 0, -1) if _bears(count, num_files)), 0)


def _bears(num_corrupted: int, num_files: int) -> bool:
    rule = AGGREGATORS.get(ROBUST.rule)(num_corrupted)
    try:
        Pipeline(rule, [PRE_AGGREGATORS.get(name)(num_corrupted) for name in ROBUST.pre]).check_rows(num_files)
    except TooFewRowsError:
        return False
    return True
