"""Who votes like whom."""

import pytest

from byzshield.errors import CheckpointError
from byzshield.training.agreement import MOST_WORKERS, Agreement
from byzshield.training.blame import Blame


def test_each_pair_is_compared_once_a_file_whatever_the_order_of_votes() -> None:
    agreement, votes = Agreement(4), dict[int, bytes]()
    for worker, vote in ((2, b"x"), (0, b"y"), (3, b"x")):
        votes[worker] = vote
        agreement.count(worker, votes)
    assert agreement.pairs() == [(0, 2, 1, 1), (0, 3, 1, 1), (2, 3, 1, 0)]


def test_it_goes_on_from_what_was_stored_with_blame() -> None:
    blame, other = Blame(3), Blame(3)
    blame.agreement.count(1, {0: b"x", 1: b"y"})
    other.agreement.count(2, {1: b"x", 2: b"x"})
    other.load_state_dict(blame.state_dict())
    assert other.agreement.pairs() == [(0, 1, 1, 1)]
    other.agreement.count(0, {1: b"x", 0: b"x"})
    assert other.agreement.pairs() == [(0, 1, 2, 1)]


def test_a_checkpoint_from_before_votes_were_compared_begins_anew() -> None:
    blame = Blame(3)
    blame.agreement.count(1, {0: b"x", 1: b"y"})
    blame.load_state_dict({"blamed": {}, "asked": {}})
    assert blame.agreement.pairs() == []


@pytest.mark.parametrize("pair", [(0, 3, 1, 0), (1, 1, 1, 0), (-1, 1, 1, 0)])
def test_a_checkpoint_of_other_workers_is_refused(pair: tuple[int, int, int, int]) -> None:
    with pytest.raises(CheckpointError, match="compares workers"):
        Agreement(3).load([pair])


def test_nothing_is_kept_of_very_many_workers() -> None:
    agreement = Agreement(MOST_WORKERS + 1)
    agreement.count(1, {0: b"x", 1: b"y"})
    agreement.load([(0, 1, 1, 1)])
    assert agreement.pairs() == []
