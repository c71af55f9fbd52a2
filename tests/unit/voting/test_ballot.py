"""Votes worked out by hand."""

from itertools import permutations, product

import pytest

from byzshield.errors import FrameError
from byzshield.voting import Ballot


def test_two_of_three_decide_before_the_third_has_voted() -> None:
    ballot = Ballot[str]([2, 7, 9])
    assert ballot.cast(2, "a") is False
    assert ballot.open
    assert ballot.cast(9, "a") is True
    assert (ballot.winner, ballot.supporters, ballot.silent, ballot.open) == ("a", [2, 9], {7}, False)


def test_a_late_vote_changes_nothing_but_shows_dissent() -> None:
    ballot = Ballot[str]([0, 1, 2])
    ballot.cast(0, "a")
    ballot.cast(1, "a")
    assert ballot.cast(2, "b") is False
    assert (ballot.winner, ballot.dissenters) == ("a", [2])


def test_three_different_votes_leave_the_file_undecided() -> None:
    ballot = Ballot[str]([0, 1, 2])
    for worker, value in enumerate("abc"):
        ballot.cast(worker, value)
    assert ballot.winner is None
    assert not ballot.open
    assert ballot.supporters == ballot.dissenters == []


def test_five_voters_need_three() -> None:
    ballot = Ballot[str](range(5))
    assert [ballot.cast(worker, value) for worker, value in enumerate("abaab")] == [False, False, False, True, False]
    assert (ballot.winner, ballot.supporters, ballot.dissenters) == ("a", [0, 2, 3], [1, 4])


def test_one_voter_decides_alone() -> None:
    ballot = Ballot[str]([4])
    assert ballot.cast(4, "a") is True


def test_a_stranger_and_a_second_vote_are_refused() -> None:
    ballot = Ballot[str]([0, 1, 2])
    ballot.cast(0, "a")
    with pytest.raises(FrameError, match="does not hold"):
        ballot.cast(5, "a")
    with pytest.raises(FrameError, match="twice"):
        ballot.cast(0, "b")
    assert ballot.supporters_of("a") == [0]


def test_giving_up_on_voters_closes_a_ballot_that_they_could_have_decided() -> None:
    ballot = Ballot[str]([0, 1, 2])
    ballot.cast(0, "a")
    ballot.give_up_on(1)
    assert ballot.open
    ballot.give_up_on(2)
    assert not ballot.open


@pytest.mark.parametrize("values", list(product("ab", repeat=5)))
def test_the_order_of_votes_does_not_change_the_winner(values: tuple[str, ...]) -> None:
    expected = max("ab", key=values.count)
    for order in permutations(range(5)):
        ballot = Ballot[str](range(5))
        for worker in order:
            ballot.cast(worker, values[worker])
        assert ballot.winner == expected
