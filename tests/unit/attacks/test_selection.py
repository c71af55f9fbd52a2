"""Who is Byzantine."""

import os
import subprocess
import sys
from itertools import combinations

import numpy as np
import pytest

from byzshield.attacks import Selection
from byzshield.choices import ForgedFiles, SelectionRule
from byzshield.distortion import corrupted_files, worst_case
from byzshield.errors import ParameterError
from byzshield.placement import Assignment, aspis, cyclic, frc, mols, permuted

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
        {"num_byzantine": 2, "rule": "random", "redraw_every": -1},
        {"num_byzantine": 2, "rule": "first", "redraw_every": 0},
        {"num_byzantine": 2, "rule": "worst", "redraw_every": 5},
    ],
)
def test_impossible_selections_are_refused(arguments: dict) -> None:
    with pytest.raises(ParameterError):
        Selection(ASSIGNMENT, **arguments)


GROUPS = frc(num_workers=15, replication=5)  # 0 to 4, 5 to 9, 10 to 14; r' = 3


@pytest.mark.parametrize(
    ("rule", "num_byzantine", "expected", "corrupted"),
    [
        ("detox_worst", 2, (0, 1), []),
        ("detox_worst", 7, (0, 1, 2, 5, 6, 7, 10), [0, 1]),
        ("detox_worst", 10, (0, 1, 2, 3, 5, 6, 7, 10, 11, 12), [0, 1, 2]),
        ("detox_worst", 15, tuple(range(15)), [0, 1, 2]),
        ("detox_benign", 2, (0, 5), []),
        ("detox_benign", 7, (0, 1, 2, 5, 6, 10, 11), [0]),
        ("detox_benign", 15, tuple(range(15)), [0, 1, 2]),
        ("detox_whole_group", 2, (0, 1), []),
        ("detox_whole_group", 7, (0, 1, 2, 3, 4, 5, 6), [0]),
        ("detox_whole_group", 15, tuple(range(15)), [0, 1, 2]),
    ],
)
def test_the_attacks_on_detox_by_hand(
    rule: SelectionRule, num_byzantine: int, expected: tuple[int, ...], corrupted: list[int]
) -> None:
    selection = Selection(GROUPS, num_byzantine=num_byzantine, rule=rule)
    assert selection.byzantine_at(4) == expected
    assert selection.corrupted_at(4) == corrupted


def test_groups_are_found_wherever_their_workers_stand_and_however_many_files_they_hold() -> None:
    # Two groups of three, {0, 2, 4} with files 0 and 1 and {1, 3, 5} with files 2 and 3.
    scattered = Assignment(scheme="custom", files_of=np.array([[0, 1], [2, 3]] * 3))
    assert Selection(scattered, num_byzantine=3, rule="detox_worst").byzantine_at(1) == (0, 1, 2)
    assert Selection(scattered, num_byzantine=2, rule="detox_benign").byzantine_at(1) == (0, 1)
    assert Selection(scattered, num_byzantine=3, rule="detox_whole_group").byzantine_at(1) == (0, 2, 4)


@pytest.mark.parametrize("num_byzantine", range(16))
def test_the_worst_attack_on_detox_is_the_worst_case_of_groups(num_byzantine: int) -> None:
    theirs = Selection(GROUPS, num_byzantine=num_byzantine, rule="detox_worst")
    assert len(theirs.corrupted_at(1)) == worst_case(GROUPS, num_byzantine=num_byzantine).c_max


@pytest.mark.parametrize("rule", ["detox_worst", "detox_benign", "detox_whole_group"])
@pytest.mark.parametrize("assignment", [ASSIGNMENT, cyclic(num_workers=9, replication=3)], ids=["mols", "cyclic"])
def test_the_attacks_on_detox_are_refused_without_groups(rule: SelectionRule, assignment: Assignment) -> None:
    with pytest.raises(ParameterError) as caught:
        Selection(assignment, num_byzantine=2, rule=rule)
    assert str(caught.value) == (
        f"selection '{rule}' needs groups of 3 workers that hold the same files, as scheme 'frc' has them; "
        f"got scheme '{assignment.scheme}'"
    )


def draws(redraw_every: int, steps: int = 13) -> list[tuple[int, ...]]:
    selection = Selection(ASSIGNMENT, num_byzantine=4, rule="random", redraw_every=redraw_every, seed=7)
    return [selection.byzantine_at(step) for step in range(1, steps)]


def test_a_draw_holds_for_its_period_and_no_longer() -> None:
    anew = draws(1)
    assert len(set(anew)) == 12
    assert draws(4) == [anew[0]] * 4 + [anew[4]] * 4 + [anew[8]] * 4
    assert draws(0) == [anew[0]] * 12


def test_the_corrupted_files_follow_the_draw() -> None:
    selection = Selection(ASSIGNMENT, num_byzantine=6, rule="random", redraw_every=3, seed=7)
    corrupted = [selection.corrupted_at(step) for step in range(1, 10)]
    assert corrupted == [corrupted_files(ASSIGNMENT, selection.byzantine_at(step)) for step in range(1, 10)]
    assert [corrupted[step] == corrupted[step - 1] for step in range(1, 9)] == [True, True, False, True, True, False, True, True]


def test_every_process_draws_the_same_workers() -> None:
    program = (
        "from byzshield.attacks import Selection; from byzshield.placement import mols; "
        "selection = Selection(mols(load=5, replication=3), num_byzantine=4, rule='random', redraw_every=4, seed=7); "
        "print([selection.byzantine_at(step) for step in range(1, 13)])"
    )
    for hash_seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True, env=environment)
        assert done.stdout.strip() == str(draws(4))


class TestWhichFilesAreForged:
    SUBSETS = aspis(num_workers=7, replication=3)

    def files(self, choice: ForgedFiles, num_byzantine: int = 3) -> set[frozenset[int]]:
        selection = Selection(self.SUBSETS, num_byzantine=num_byzantine, rule="first", files=choice)
        return {frozenset(self.SUBSETS.workers_of[file].tolist()) for file in selection.forged_at(1)}

    def test_all_are_those_that_a_member_holds(self) -> None:
        assert self.files("all") == {frozenset(three) for three in combinations(range(7), 3) if min(three) < 3}

    def test_a_majority_takes_two_members_of_three_holders(self) -> None:
        assert self.files("majority") == {frozenset(t) for t in combinations(range(7), 3) if sum(w < 3 for w in t) >= 2}

    def test_a_disagreement_needs_a_member_and_no_honest_worker_but_the_first_q(self) -> None:
        assert self.files("disagreement") == {frozenset(t) for t in combinations(range(6), 3) if min(t) < 3}
        assert self.files("disagreement", 1) == set()  # 0 and 1 are one too few for a file

    @pytest.mark.parametrize(("choice", "corrupted"), [("all", 13), ("majority", 13), ("disagreement", 10)])
    def test_corrupted_are_the_forged_ones_of_a_majority(self, choice: ForgedFiles, corrupted: int) -> None:
        selection = Selection(self.SUBSETS, num_byzantine=3, rule="first", files=choice)
        assert len(selection.corrupted_at(1)) == corrupted
        assert selection.corrupted_at(1, (0, 1, 2)) == []
        assert len(selection.corrupted_at(1, (0,))) < corrupted

    def test_they_follow_workers_that_change_their_places(self) -> None:
        selection = Selection(permuted(self.SUBSETS, seed=1), num_byzantine=3, rule="first", files="disagreement")
        assert len({selection.forged_at(step) for step in range(1, 6)}) == 5
        assert {len(selection.corrupted_at(step)) for step in range(1, 6)} == {10}
