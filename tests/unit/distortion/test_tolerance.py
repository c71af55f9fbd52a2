"""How many Byzantine workers fit under a limit of corrupted files."""

import pytest

from byzshield.distortion.tolerance import most_byzantine
from byzshield.errors import ParameterError
from byzshield.placement import baseline, frc, mols


@pytest.mark.parametrize(("num_corrupted", "most"), [(0, 1), (1, 2), (2, 2), (3, 3), (7, 4), (8, 5), (11, 5), (12, 6)])
def test_the_limit_inverts_the_published_row(num_corrupted, most):
    assert most_byzantine(mols(load=5, replication=3), num_corrupted=num_corrupted) == most


def test_a_rule_that_tolerates_every_file_tolerates_every_worker():
    assert most_byzantine(frc(num_workers=9, replication=3), num_corrupted=3) == 9


def test_without_redundancy_workers_and_files_are_one():
    assert most_byzantine(baseline(num_workers=7), num_corrupted=4) == 4


def test_a_negative_limit_is_refused():
    with pytest.raises(ParameterError, match="at least 0"):
        most_byzantine(baseline(num_workers=7), num_corrupted=-1)
