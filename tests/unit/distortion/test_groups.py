"""Groups of workers with one file each, against plain enumeration."""

import numpy as np
import pytest
from plain_search import enumerate_plainly

from byzshield.distortion import worst_case
from byzshield.distortion.groups import first_worst_in_groups
from byzshield.placement import Assignment, frc


@pytest.mark.parametrize("seed", range(10))
def test_the_first_of_the_worst_sets_is_found_however_the_groups_lie(seed):
    random = np.random.default_rng(seed)
    num_files, replication = int(random.integers(1, 5)), int(random.integers(1, 5))
    files_of = random.permutation(np.repeat(np.arange(num_files), replication))[:, None]
    assignment = Assignment(
        scheme="groups", files_of=files_of, threshold=int(random.integers(replication // 2 + 1, replication + 1))
    )
    for num_byzantine in range(assignment.num_workers + 1):
        assert first_worst_in_groups(assignment, num_byzantine) == enumerate_plainly(assignment, num_byzantine)[1]


def test_thousands_of_workers_in_groups_need_no_search():
    assert worst_case(frc(num_workers=9999, replication=3), num_byzantine=1001, time_limit=1e-9).c_max == 500
