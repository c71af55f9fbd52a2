"""Who is Byzantine."""

from itertools import combinations

import pytest

from byzshield.attacks import Selection
from byzshield.distortion import corrupted_files
from byzshield.errors import ParameterError
from byzshield.placement import frc, mols

ASSIGNMENT = mols(load=5, replication=3)


def test_the_worst_case_corrupts_as_many_files_as_any_set_of_that_size() -> None:
    for num_byzantine in (2, 3, 4):
        chosen = Selection(ASSIGNMENT, num_byzantine=num_byzantine, rule="worst")
        most = max(len(corrupted_files(ASSIGNMENT, workers)) for workers in combinations(range(15), num_byzantine))
        assert len(chosen.corrupted_at(1)) == most
        assert len(chosen.byzantine_at(1)) == num_byzantine


def test_the_worst_case_of_groups_fills_a_group() -> None:
    selection = Selection(frc(num_workers=15, replication=3), num_byzantine=3, rule="worst")
    assert len(selection.corrupted_at(5)) == 1


def test_first_and_fixed_take_what_they_say_in_every_step() -> None:
    assert Selection(ASSIGNMENT, num_byzantine=3, rule="first").byzantine_at(9) == (0, 1, 2)
    assert Selection(ASSIGNMENT, num_byzantine=2, rule="fixed", workers=[9, 4]).byzantine_at(9) == (4, 9)


def test_random_changes_with_the_step_and_repeats_with_the_seed() -> None:
    first = Selection(ASSIGNMENT, num_byzantine=4, rule="random", seed=1)
    again = Selection(ASSIGNMENT, num_byzantine=4, rule="random", seed=1)
    other = Selection(ASSIGNMENT, num_byzantine=4, rule="random", seed=2)
    steps = range(1, 30)
    assert [first.byzantine_at(step) for step in steps] == [again.byzantine_at(step) for step in steps]
    assert [first.byzantine_at(step) for step in steps] != [other.byzantine_at(step) for step in steps]
    assert len({first.byzantine_at(step) for step in steps}) > 20
    assert all(len(set(first.byzantine_at(step))) == 4 for step in steps)
    assert {worker for step in range(1, 200) for worker in first.byzantine_at(step)} == set(range(15))


def test_nobody_is_byzantine_when_q_is_zero() -> None:
    for rule in ("worst", "random", "first", "fixed"):
        selection = Selection(ASSIGNMENT, num_byzantine=0, rule=rule)  # type: ignore[arg-type]
        assert selection.byzantine_at(1) == ()
        assert selection.corrupted_at(1) == []


@pytest.mark.parametrize(
    "arguments",
    [
        {"num_byzantine": 16, "rule": "worst"},
        {"num_byzantine": -1, "rule": "worst"},
        {"num_byzantine": 2, "rule": "fixed", "workers": [1]},
        {"num_byzantine": 2, "rule": "fixed", "workers": [1, 1]},
        {"num_byzantine": 2, "rule": "fixed", "workers": [1, 15]},
        {"num_byzantine": 2, "rule": "first", "workers": [0, 1]},
        {"num_byzantine": 2, "rule": "best"},
    ],
)
def test_impossible_selections_are_refused(arguments: dict) -> None:
    with pytest.raises(ParameterError):
        Selection(ASSIGNMENT, **arguments)
