"""Workers that change their places at every step."""

import numpy as np

from byzshield.placement import mols, permuted, steiner


def test_each_step_has_the_same_files_with_other_holders() -> None:
    fixed = steiner(num_workers=9)
    moving = permuted(fixed, seed=1)
    steps = [moving.at(step) for step in range(1, 6)]
    lines = {tuple(sorted(map(tuple, step.files_of.tolist()))) for step in steps}
    assert lines == {tuple(sorted(map(tuple, fixed.files_of.tolist())))}
    assert len({step.files_of.tobytes() for step in steps}) == 5
    assert all((step.shared == fixed.shared).all() for step in steps)


def test_the_places_come_from_the_seed_and_the_step() -> None:
    fixed = mols(load=5, replication=3)
    assert np.array_equal(permuted(fixed, seed=1).at(7).files_of, permuted(fixed, seed=1).at(7).files_of)
    assert not np.array_equal(permuted(fixed, seed=1).at(7).files_of, permuted(fixed, seed=2).at(7).files_of)


def test_a_placement_that_is_not_permuted_is_its_own_at_each_step() -> None:
    fixed = mols(load=5, replication=3)
    assert fixed.at(1) is fixed.at(2) is fixed
